"""Batches of texts and their vectors: of T5 without padding, of any other encoder with padding."""

from collections.abc import Iterator, Sequence
from itertools import chain, groupby
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import T5EncoderModel
from transformers.models.t5.modeling_t5 import T5Stack

from ..core.errors import ModelError
from .model_files import OTHERWISE
from .params import Pooling

LENGTH_STEP = 4  # texts are padded to a multiple of this many tokens
KEY_STEP = 16  # keys are padded to a multiple of it: softmax of rows shorter than a vector register is slow

Group = tuple[slice, Tensor]  # slots of texts of one length, and the bias of their attention scores, float [1, H, L, K]


class T5Batches:
    """Batches of T5's encoder (in evaluation mode). The texts of a batch follow each other in one row of slots.

    Linear layers and norms compute all slots at once; attention computes all texts of one length at once.
    """

    def __init__(self, stack: Any, pooling: Pooling) -> None:
        self._stack, self._pooling = stack, pooling

    @classmethod
    def of(cls, model: nn.Module, pooling: Pooling = "mean") -> "T5Batches | None":
        """Return the batches of a model; None if it is not T5's encoder."""
        stack = model.encoder if isinstance(model, T5EncoderModel) else model
        known = isinstance(stack, T5Stack) and not stack.is_decoder and len(stack.block) > 0
        return cls(stack, pooling) if known else None

    def plan(
        self, lengths: NDArray[np.int64], batch_tokens: int
    ) -> Iterator[tuple[NDArray[np.int64], tuple[int, int]]]:
        """Yield the texts of each batch, places int64 [b], longest first, and the batch's shape (1, slots).

        A batch has at most `batch_tokens`, padding included; a longer text is a batch of its own.
        """
        order = np.argsort(-lengths, kind="stable")  # [n]
        ends = np.cumsum(lengths[order])  # [n]
        start = 0
        while start < len(order):
            slots = max(batch_tokens, int(lengths[order[start]]))
            stop = int(np.searchsorted(ends, ends[start] - lengths[order[start]] + slots, "right"))
            yield order[start:stop], (1, slots)
            start = stop

    def vectors(self, texts: Sequence[Sequence[int]], shape: tuple[int, int]) -> Tensor:
        """Return the mean of each text's last hidden states, or the last one, [b, D], as in the model but for rounding.

        `texts` are token ids, at least one per text; texts of one length stand side by side.
        """
        tokens = torch.tensor(list(chain.from_iterable(texts)))
        ids = F.pad(tokens, (0, shape[1] - len(tokens))).to(self._stack.device)  # [S]
        states = self._stack.embed_tokens(ids)  # [S, D]
        groups = list(self._groups([len(text) for text in texts]))
        for block in self._stack.block:
            states = _attend(block.layer[0], states, groups)  # [S, D]
            states = block.layer[-1](states)  # [S, D]
        states = self._stack.final_layer_norm(states)  # [S, D]
        parts = [states[place].unflatten(0, (-1, bias.shape[2])) for place, bias in groups]  # [b', L, D] each
        return torch.cat([part[:, -1] if self._pooling == "last" else part.mean(1) for part in parts])

    def _groups(self, lengths: Sequence[int]) -> Iterator[Group]:
        first, longest = self._stack.block[0].layer[0].SelfAttention, max(lengths)
        bias = first.compute_bias(longest, longest)  # [1, H, longest, longest]
        start = 0
        for length, group in groupby(lengths):
            stop = start + length * len(list(group))
            near = bias[..., :length, :length]  # [1, H, L, L]: positions are relative
            yield slice(start, stop), F.pad(near, (0, -length % KEY_STEP), value=-torch.inf)
            start = stop


def _attend(layer: Any, states: Tensor, groups: Sequence[Group]) -> Tensor:
    """Return the states [S, D] after an attention layer in which each text attends to itself alone."""
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


class PaddedBatches:
    """Batches of texts whose lengths, rounded up, are equal. Copies of the first text complete a batch.

    The model is in evaluation mode. The padding token changes no vector. `place` is the model's name in messages.
    """

    def __init__(self, model: Any, pooling: Pooling, padding: int, max_length: int, place: str) -> None:
        self._model, self._pooling, self._place = model, pooling, place
        self._padding, self._max_length = padding, max_length

    def plan(
        self, lengths: NDArray[np.int64], batch_tokens: int
    ) -> Iterator[tuple[NDArray[np.int64], tuple[int, int]]]:
        """Yield batches as ``T5Batches.plan`` does, of the shape (rows, tokens of each row)."""
        lengths = np.minimum(-(-lengths // LENGTH_STEP) * LENGTH_STEP, self._max_length)
        for length in np.unique(lengths)[::-1].tolist():
            places = np.flatnonzero(lengths == length)
            rows = max(1, batch_tokens // length)
            for start in range(0, len(places), rows):
                yield places[start : start + rows], (rows, length)

    def vectors(self, texts: Sequence[Sequence[int]], shape: tuple[int, int]) -> Tensor:
        """Return vectors [b, D] as ``T5Batches.vectors``; raise ``ModelError`` if the model is not a text encoder."""
        rows = [*texts, *[texts[0]] * (shape[0] - len(texts))]
        lengths = torch.tensor([[len(text)] for text in rows])  # [rows, 1]
        real = torch.arange(shape[1]) < lengths  # [rows, t]
        tokens = torch.tensor(list(chain.from_iterable(rows)))
        ids = torch.full(shape, self._padding).masked_scatter(real, tokens).to(self._model.device)  # [rows, t]
        mask = real.long().to(self._model.device)  # [rows, t]
        try:
            hidden = self._model(input_ids=ids, attention_mask=mask).last_hidden_state  # [rows, t, D]
        except (TypeError, ValueError, AttributeError) as error:
            raise ModelError(f"not a text encoder: {error}", self._place, OTHERWISE) from error
        if self._pooling == "last":
            return hidden[torch.arange(len(texts)), [len(text) - 1 for text in texts]]
        weights = mask.unsqueeze(-1).to(hidden.dtype)  # [rows, t, 1]
        # `where`, not a product: a NaN at the padding would reach the vector.
        hidden = torch.where(weights > 0, hidden, 0)
        return hidden.sum(1)[: len(texts)] / weights.sum(1)[: len(texts)]
