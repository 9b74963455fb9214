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


class T5Batches:
    """Texts one after the other in a row of slots; what is left over of it reaches no vector.

    Linear layers and norms compute all slots at once, attention the texts of one length: nothing is masked but
    keys that fill up a vector register.

    Args:
        stack: T5's encoder, in evaluation mode.
    """

    def __init__(self, stack: T5Stack) -> None:
        self._stack = stack

    @classmethod
    def of(cls, model: nn.Module) -> "T5Batches | None":
        """Return this for a model whose forward pass `means` reproduces, or None: it is not T5's encoder."""
        stack = model.encoder if isinstance(model, T5EncoderModel) else model
        known = isinstance(stack, T5Stack) and not stack.is_decoder and len(stack.block) > 0
        return cls(cast(T5Stack, stack)) if known else None

    def plan(
        self, lengths: NDArray[np.int64], batch_tokens: int
    ) -> Iterator[tuple[NDArray[np.int64], tuple[int, int]]]:
        """Yield each batch's texts, places int64 [b], longest first, and the batch's shape: one row, its slots.

        Args:
            lengths: tokens of each text, int64 [n].
            batch_tokens: slots of a batch; a longer text is a batch of its own, as long as it is.
        """
        order = np.argsort(-lengths, kind="stable")  # [n]
        ends = np.cumsum(lengths[order])  # [n]
        start = 0
        while start < len(order):
            slots = max(batch_tokens, int(lengths[order[start]]))
            stop = int(np.searchsorted(ends, ends[start] - lengths[order[start]] + slots, "right"))
            yield order[start:stop], (1, slots)
            start = stop

    @torch.inference_mode()
    def means(self, texts: Sequence[Sequence[int]], shape: tuple[int, int]) -> NDArray[np.float32]:
        """Return the mean of each text's last hidden states: those of the model's own forward pass, up to rounding.

        Args:
            texts: token ids, at least one each; texts of one length side by side.
            shape: of their batch; at least as many slots as there are tokens in all.

        Returns:
            float32 [b, D].
        """
        tokens = torch.tensor(list(chain.from_iterable(texts)))
        ids = F.pad(tokens, (0, shape[1] - len(tokens))).to(self._stack.device)  # [S]
        states = self._stack.embed_tokens(ids)  # [S, D]
        groups = list(_groups(self._stack, [len(text) for text in texts]))
        for block in _blocks(self._stack):
            states = _attend(_attention(block), states, groups)  # [S, D]
            states = block.layer[-1](states)  # [S, D]
        states = self._stack.final_layer_norm(states)  # [S, D]
        means = [states[place].unflatten(0, (-1, bias.shape[2])).mean(1) for place, bias in groups]
        return torch.cat(means).cpu().numpy()


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
