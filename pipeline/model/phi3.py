"""Phi-3's hidden state at one position of each sequence, without computing the other states of the last block."""

from collections.abc import Iterable
from typing import TypeGuard, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import Phi3Model
from transformers.models.phi3.modeling_phi3 import Phi3DecoderLayer, Phi3RMSNorm, rotate_half

Rotation = tuple[Tensor, Tensor]
"""Cosine and sine of the rotary position embedding; they broadcast to [B, H, T, D / H]."""


def reads_one_position(backbone: nn.Module) -> TypeGuard[Phi3Model]:
    """Return whether `state_at` supports this model: Phi-3 with plain rotary attention."""
    if not isinstance(backbone, Phi3Model):
        return False
    config = backbone.config
    rotary = config.rope_parameters or {}
    return (
        config.sliding_window is None
        and config.num_key_value_heads == config.num_attention_heads
        and rotary.get("rope_type") == "default"
        and rotary.get("partial_rotary_factor") == 1.0
        # False while LoRA replaces these layers: `state_at` reads their weights.
        and all(type(block.self_attn.qkv_proj) is nn.Linear for block in _blocks(backbone))
    )


def state_at(model: Phi3Model, inputs: Tensor, positions: Tensor) -> Tensor:
    """Return `model(inputs_embeds=inputs).last_hidden_state` at one position of each sequence, for evaluation.

    The last block computes keys and values of all positions, but query and MLP of one position only: with two blocks,
    this saves 40% of the arithmetic. The model's own forward also costs a millisecond of Python per call, and rounds to
    float32 in every norm. `reads_one_position` must hold. Inputs [B, T, D], positions int64 [B] -> [B, D].
    """
    batch = torch.arange(len(inputs), device=inputs.device)
    position = torch.arange(inputs.shape[1], device=inputs.device)
    cos, sin = (part[0] for part in model.rotary_emb(inputs, position[None]))  # [T, D / H]
    states = inputs
    *blocks, last = _blocks(model)
    for block in blocks:
        states = _block(block, states, (cos, sin), states, (cos, sin), None)  # [B, T, D]
    mask = position <= positions[:, None, None, None]  # [B, 1, 1, T]
    rotation = cos[positions, None, None], sin[positions, None, None]  # [B, 1, 1, D / H]
    state = _block(last, states, (cos, sin), states[batch, positions, None], rotation, mask)  # [B, 1, D]
    return _norm(model.norm, state[:, 0])


def _blocks(model: Phi3Model) -> Iterable[Phi3DecoderLayer]:
    return cast(Iterable[Phi3DecoderLayer], model.layers)


def _block(
    block: Phi3DecoderLayer,
    states: Tensor,
    rotation: Rotation,
    reading: Tensor,
    reading_rotation: Rotation,
    mask: Tensor | None,
) -> Tensor:
    """Return the block's output [B, Q, D] for the states `reading` [B, Q, D], which attend to `states` [B, T, D].

    The bool mask broadcasts to [B, H, Q, T]; None: causal, for `reading` equal to `states`.
    """
    attention = block.self_attn
    weight, width = attention.qkv_proj.weight, attention.o_proj.in_features  # [3 W, D]: query, key, value
    query = F.linear(_norm(block.input_layernorm, reading), weight[:width])  # [B, Q, W]
    key, value = F.linear(_norm(block.input_layernorm, states), weight[width:]).split(width, -1)  # [B, T, W]
    query, key, value = (
        part.unflatten(-1, (-1, attention.head_dim)).transpose(1, 2) for part in (query, key, value)
    )  # [B, H, Q or T, W / H]
    attended = F.scaled_dot_product_attention(
        _rotated(query, reading_rotation),
        _rotated(key, rotation),
        value,
        attn_mask=mask,
        is_causal=mask is None,
        scale=attention.scaling,
    )  # [B, H, Q, W / H]
    reading = reading + attention.o_proj(attended.transpose(1, 2).flatten(2))  # [B, Q, D]
    return reading + block.mlp(_norm(block.post_attention_layernorm, reading))


def _rotated(parts: Tensor, rotation: Rotation) -> Tensor:
    cos, sin = rotation
    return parts * cos + rotate_half(parts) * sin


def _norm(norm: Phi3RMSNorm, states: Tensor) -> Tensor:
    return F.rms_norm(states, norm.weight.shape, norm.weight, norm.variance_epsilon)
