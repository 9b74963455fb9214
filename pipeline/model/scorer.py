"""Scores of the whole catalogue by either variant: the sequence model alone, or fused with retrieval."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..data.sequences import pad_histories
from ..ranking.ranking import excluded_items
from .ensemble import UserModel
from .sources import Fuses, Mixture, Query, Retrieved, Source


@dataclass(frozen=True)
class Scored:
    """A batch with its scores, and the steps that led to them.

    Attributes:
        query: the users.
        scores: [B, n]: logits of the model, or log-probabilities of the fusion; -inf for an item that
            may not be recommended.
        retrieved: of each source; empty without retrieval.
        mixture: of the fusion; None without retrieval.
    """

    query: Query
    scores: Tensor
    retrieved: Sequence[Retrieved] = ()
    mixture: Mixture | None = None


class Scorer:
    """Scores the catalogue in one forward pass and one product, and fuses the result with retrieval.

    Everything that depends on items alone is computed once: a model that is trained on needs another scorer.

    Args:
        model: trained.
        candidates: bool [n], items that may be recommended.
        sources: of retrieval, in the order of the fusion; none for variant `hierarchical`.
        fusion: learned with this model and these sources, where there are any.
        dtype: of the computation. In float64 rounding is too small to change a rank, so that results do not depend on
            the batch size; float32 is twice as fast.
        repeated: whether an item of the history may be recommended again.
    """

    def __init__(
        self,
        model: UserModel,
        candidates: NDArray[np.bool_],
        sources: Mapping[str, Source] | None = None,
        fusion: Fuses | None = None,
        dtype: torch.dtype = torch.float64,
        repeated: bool = False,
    ) -> None:
        self.model = model if dtype == torch.float32 else copy.deepcopy(model).to(dtype)
        self.model.eval()
        self.candidates, self.dtype, self.repeated = candidates, dtype, repeated
        self.sources = dict(sources or {})
        module: Any = copy.deepcopy(fusion)
        self.fusion: Fuses | None = None if fusion is None else module.to(dtype).eval()
        with torch.no_grad():
            self._item_inputs = self.model.item_inputs()  # [n, D]
            self._keys, self._biases = self.model.item_keys()  # [n, D], [n]

    def states(self, histories: list[NDArray[np.int64]]) -> Tensor:
        """Return the users after their histories, [B, D]."""
        rows, lengths = pad_histories(histories, self.model.history)
        return self.model.users(torch.from_numpy(rows), torch.from_numpy(lengths), self._item_inputs)

    def model_scores(self, states: Tensor, histories: Sequence[NDArray[np.int64]]) -> Tensor:
        """Return the model's logits [B, n] for users [B, D]; -inf where an item may not be recommended."""
        scores = states @ self._keys.T + self._biases  # [B, n]
        return scores.masked_fill(
            excluded_items(histories, self.candidates, self.repeated), -torch.inf
        )  # [B, n]

    @torch.inference_mode()
    def score(self, histories: list[NDArray[np.int64]], users: NDArray[np.int64]) -> Scored:
        """Score the whole catalogue for a batch.

        Args:
            histories: item rows, oldest first.
            users: int64 [B], user rows, so that nobody retrieves entries of his own; `ANONYMOUS`: not known.
        """
        states = self.states(histories)  # [B, D]
        query = Query(states.float().numpy(), users, histories)
        scores = self.model_scores(states, histories)  # [B, n]
        if self.fusion is None:
            return Scored(query, scores)
        retrieved = [source.retrieve(query) for source in self.sources.values()]
        mixture = self.fusion.mix(scores, lengths(histories), retrieved)
        return Scored(query, self.fusion.combine(scores, mixture), retrieved, mixture)

    def score_histories(self, histories: list[NDArray[np.int64]], users: NDArray[np.int64]) -> Tensor:
        """Return the scores alone, [B, n]; as `score`."""
        return self.score(histories, users).scores


def lengths(histories: Sequence[NDArray[np.int64]]) -> Tensor:
    """Return the number of items in each history, int64 [B]."""
    return torch.tensor([len(history) for history in histories])
