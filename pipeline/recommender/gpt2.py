"""GPT-2's state at one position of each sequence, without the states that nobody asks for."""

from collections.abc import Iterable
from typing import TypeGuard, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import GPT2Model
from transformers.models.gpt2.modeling_gpt2 import GPT2Block


def reads_one_position(backbone: nn.Module) -> TypeGuard[GPT2Model]:
    """Whether `state_at` knows this model: GPT-2, and none of the settings that change its attention's arithmetic."""
    if not isinstance(backbone, GPT2Model):
        return False
    config = backbone.config
    return not (config.add_cross_attention or config.reorder_and_upcast_attn)


def state_at(model: GPT2Model, inputs: Tensor, positions: Tensor) -> Tensor:
    """Return `model(inputs_embeds=inputs).last_hidden_state` at one position of each sequence, for evaluation.

    The last block computes keys and values of all positions, but everything else for the one alone: of two blocks
    that is 40% of the arithmetic. The model's own forward also costs a millisecond of Python for every call.

    Args:
        model: for which `reads_one_position` holds.
        inputs: float [B, T, D].
        positions: int64 [B].

    Returns:
        float [B, D].
    """
    batch = torch.arange(len(inputs), device=inputs.device)
    place = torch.arange(inputs.shape[1], device=inputs.device)
    states = inputs + model.wpe(place)  # [B, T, D]
    *blocks, last = cast(Iterable[GPT2Block], model.h)
    for block in blocks:
        states = _block(block, states, states, None)  # [B, T, D]
    before = place <= positions[:, None, None, None]  # [B, 1, 1, T]
    asked = _block(last, states, states[batch, positions, None], before)  # [B, 1, D]
    return model.ln_f(asked[:, 0])


def _block(block: GPT2Block, states: Tensor, asked: Tensor, mask: Tensor | None) -> Tensor:
    """Return what the block makes of the states `asked` [B, Q, D] that read `states` [B, T, D].

    Args:
        block: of the model.
        states: what is read.
        asked: what reads.
        mask: bool, which of the states each of `asked` reads; None: they are the same, and read causally.
    """
    attention, width = block.attn, states.shape[-1]
    weight, bias = attention.c_attn.weight, attention.c_attn.bias  # [D, 3 D] and [3 D]: query, key, value
    query = F.linear(block.ln_1(asked), weight[:, :width].T, bias[:width])  # [B, Q, D]
    key, value = F.linear(block.ln_1(states), weight[:, width:].T, bias[width:]).split(width, -1)  # [B, T, D]
    read = F.scaled_dot_product_attention(
        *(part.unflatten(-1, (attention.num_heads, -1)).transpose(1, 2) for part in (query, key, value)),
        attn_mask=mask,
        is_causal=mask is None,
        scale=attention.scaling,
    )  # [B, H, Q, D / H]
    asked = asked + attention.c_proj(read.transpose(1, 2).flatten(2))  # [B, Q, D]
    return asked + block.mlp(block.ln_2(asked))
