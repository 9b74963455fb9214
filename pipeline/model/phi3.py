"""Phi-3's state at one position of each sequence, without the states that nobody asks for."""

from collections.abc import Iterable
from typing import TypeGuard, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import Phi3Model
from transformers.models.phi3.modeling_phi3 import Phi3DecoderLayer, Phi3RMSNorm, rotate_half

Rotation = tuple[Tensor, Tensor]
"""Cosine and sine of the angles by which a position turns queries and keys; they broadcast to [B, H, T, D / H]."""


def reads_one_position(backbone: nn.Module) -> TypeGuard[Phi3Model]:
    """Whether `state_at` knows this model: Phi-3, and none of the settings that change its attention's arithmetic."""
    if not isinstance(backbone, Phi3Model):
        return False
    config = backbone.config
    rotary = config.rope_parameters or {}
    return (
        config.sliding_window is None
        and config.num_key_value_heads == config.num_attention_heads
        and rotary.get("rope_type") == "default"
        and rotary.get("partial_rotary_factor") == 1.0
    )


def state_at(model: Phi3Model, inputs: Tensor, positions: Tensor) -> Tensor:
    """Return `model(inputs_embeds=inputs).last_hidden_state` at one position of each sequence, for evaluation.

    The last block computes keys and values of all positions, but everything else for the one alone: of two blocks
    that is 40% of the arithmetic. The model's own forward also costs a millisecond of Python for every call, and
    rounds to float32 in every norm.

    Args:
        model: for which `reads_one_position` holds.
        inputs: float [B, T, D].
        positions: int64 [B].

    Returns:
        float [B, D].
    """
    batch = torch.arange(len(inputs), device=inputs.device)
    place = torch.arange(inputs.shape[1], device=inputs.device)
    cos, sin = (part[0] for part in model.rotary_emb(inputs, place[None]))  # [T, D / H]
    states = inputs
    *blocks, last = cast(Iterable[Phi3DecoderLayer], model.layers)
    for block in blocks:
        states = _block(block, states, (cos, sin), states, (cos, sin), None)  # [B, T, D]
    before = place <= positions[:, None, None, None]  # [B, 1, 1, T]
    there = cos[positions, None, None], sin[positions, None, None]  # [B, 1, 1, D / H]
    asked = _block(last, states, (cos, sin), states[batch, positions, None], there, before)  # [B, 1, D]
    return _norm(model.norm, asked[:, 0])


def _block(
    block: Phi3DecoderLayer,
    states: Tensor,
    places: Rotation,
    asked: Tensor,
    asked_places: Rotation,
    mask: Tensor | None,
) -> Tensor:
    """Return what the block makes of the states `asked` [B, Q, D] that read `states` [B, T, D].

    Args:
        block: of the model.
        states: what is read.
        places: their rotation.
        asked: what reads.
        asked_places: their rotation.
        mask: bool, which of the states each of `asked` reads; None: they are the same, and read causally.
    """
    attention = block.self_attn
    weight, width = attention.qkv_proj.weight, attention.o_proj.in_features  # [3 W, D]: query, key, value
    query = F.linear(_norm(block.input_layernorm, asked), weight[:width])  # [B, Q, W]
    key, value = F.linear(_norm(block.input_layernorm, states), weight[width:]).split(width, -1)  # [B, T, W]
    query, key, value = (
        part.unflatten(-1, (-1, attention.head_dim)).transpose(1, 2) for part in (query, key, value)
    )  # [B, H, Q or T, W / H]
    read = F.scaled_dot_product_attention(
        _rotated(query, asked_places),
        _rotated(key, places),
        value,
        attn_mask=mask,
        is_causal=mask is None,
        scale=attention.scaling,
    )  # [B, H, Q, W / H]
    asked = asked + attention.o_proj(read.transpose(1, 2).flatten(2))  # [B, Q, D]
    return asked + block.mlp(_norm(block.post_attention_layernorm, asked))


def _rotated(parts: Tensor, places: Rotation) -> Tensor:
    cos, sin = places
    return parts * cos + rotate_half(parts) * sin


def _norm(norm: Phi3RMSNorm, states: Tensor) -> Tensor:
    return F.rms_norm(states, norm.weight.shape, norm.weight, norm.variance_epsilon)
