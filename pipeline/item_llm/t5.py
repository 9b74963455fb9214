"""T5's text vectors without padding: the texts of a batch stand one after the other in a single row of slots."""

from collections.abc import Iterator, Sequence
from itertools import chain, groupby
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import T5EncoderModel
from transformers.models.t5.modeling_t5 import T5Block, T5LayerSelfAttention, T5Stack

KEY_STEP = 16
"""Keys of a text are padded to multiples of this many: softmax of rows shorter than a vector register is slow."""

Group = tuple[slice, Tensor]
"""Slots of texts of one length, and what their attention adds to its scores, float [1, H, L, K]."""


def text_stack(model: nn.Module) -> T5Stack | None:
    """Return the part of a model for which `means` is its forward pass, or None: it is not T5's encoder."""
    stack = model.encoder if isinstance(model, T5EncoderModel) else model
    known = isinstance(stack, T5Stack) and not stack.is_decoder and len(stack.block) > 0
    return cast(T5Stack, stack) if known else None


def fill(lengths: NDArray[np.int64], slots: int) -> Iterator[tuple[NDArray[np.int64], int]]:
    """Yield the places of the texts of each batch, longest first, and its slots: `slots`, or a longer text's own.

    Args:
        lengths: tokens of each text, int64 [n].
        slots: of a batch.
    """
    order = np.argsort(-lengths, kind="stable")  # [n]
    ends = np.cumsum(lengths[order])  # [n]
    start = 0
    while start < len(order):
        room = max(slots, int(lengths[order[start]]))
        stop = int(np.searchsorted(ends, ends[start] - lengths[order[start]] + room, "right"))
        yield order[start:stop], room
        start = stop


def means(stack: T5Stack, texts: Sequence[Sequence[int]], slots: int) -> Tensor:
    """Return the mean of each text's last hidden states: those of the model's own forward pass, up to rounding.

    Linear layers and norms compute all slots at once, attention the texts of one length: nothing is masked but
    keys that fill up a vector register, and slots that are left over reach no text.

    Args:
        stack: from `text_stack`, in evaluation mode.
        texts: token ids, at least one each; texts of one length side by side.
        slots: at least as many as there are tokens in all.

    Returns:
        float [b, D].
    """
    tokens = torch.tensor(list(chain.from_iterable(texts)))
    ids = F.pad(tokens, (0, slots - len(tokens))).to(stack.device)  # [S]
    states = stack.embed_tokens(ids)  # [S, D]
    groups = list(_groups(stack, [len(text) for text in texts]))
    for block in _blocks(stack):
        states = _attend(_attention(block), states, groups)  # [S, D]
        states = block.layer[-1](states)  # [S, D]
    states = stack.final_layer_norm(states)  # [S, D]
    return torch.cat([states[place].unflatten(0, (-1, bias.shape[2])).mean(1) for place, bias in groups])


def _blocks(stack: T5Stack) -> Sequence[T5Block]:
    return cast(Sequence[T5Block], stack.block)


def _attention(block: T5Block) -> T5LayerSelfAttention:
    return cast(T5LayerSelfAttention, block.layer[0])


def _groups(stack: T5Stack, lengths: Sequence[int]) -> Iterator[Group]:
    first = _attention(_blocks(stack)[0]).SelfAttention
    longest = first.compute_bias(max(lengths), max(lengths))  # [1, H, longest, longest]
    start = 0
    for length, group in groupby(lengths):
        stop = start + length * len(list(group))
        bias = longest[..., :length, :length]  # [1, H, L, L]: positions are relative
        yield slice(start, stop), F.pad(bias, (0, -length % KEY_STEP), value=-torch.inf)
        start = stop


def _attend(layer: T5LayerSelfAttention, states: Tensor, groups: Sequence[Group]) -> Tensor:
    """Return the states [S, D] after a layer's attention, in which a text reads itself alone."""
    attention, normed = layer.SelfAttention, layer.layer_norm(states)
    projections = (attention.q, attention.k, attention.v)
    query, key, value = (part(normed).unflatten(-1, (attention.n_heads, -1)) for part in projections)
    read = torch.zeros_like(query)  # [S, H, d], as are query, key and value
    for place, bias in groups:
        length, keys = bias.shape[2:]
        parts = (part[place].unflatten(0, (-1, length)).transpose(1, 2) for part in (query, key, value))
        q, k, v = parts  # [b, H, L, d] each
        k, v = (F.pad(part, (0, 0, 0, keys - length)) for part in (k, v))  # [b, H, K, d]
        found = F.scaled_dot_product_attention(q, k, v, attn_mask=bias, scale=attention.scaling)
        read[place] = found.transpose(1, 2).flatten(0, 1)  # [b, H, L, d] to [b L, H, d]
    return states + attention.o(read.flatten(1))
