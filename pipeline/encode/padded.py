"""Text vectors of any encoder of transformers; the texts of a batch are padded to one length."""

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..core.errors import ModelError
from .model_files import OTHERWISE
from .params import Pooling

LENGTH_STEP = 4  # texts are padded to a multiple of this many tokens


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
