"""Variant `rag`: the sequence model's ranking fused with what retrieval finds."""

import copy
from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..model.hierarchical import HierarchicalRecommender
from ..ranking.ranking import excluded_items
from .fusion import Fusion
from .sources import Query, Source


class RagRecommender:
    """Scores the catalogue as the hierarchical variant does, and fuses the retrieved items into the result.

    Args:
        base: the sequence model; its states are the queries.
        sources: by name; the order is that of the fusion.
        fusion: trained on this base and these sources.
        candidates: bool [n], items that may be recommended.
    """

    def __init__(
        self,
        base: HierarchicalRecommender,
        sources: Mapping[str, Source],
        fusion: Fusion,
        candidates: NDArray[np.bool_],
    ) -> None:
        self.base, self.sources = base, sources
        self.fusion = copy.deepcopy(fusion).to(base.dtype).eval()
        self.candidates = candidates

    def score_histories(self, histories: list[NDArray[np.int64]], users: NDArray[np.int64]) -> Tensor:
        """Score the whole catalogue: [B, n], log-probabilities; -inf for items of the history.

        Args:
            histories: item rows, oldest first.
            users: int64 [B], user rows, so that nobody retrieves entries of his own; -1: not a known user.
        """
        states = self.base.states(histories)  # [B, D]
        query = Query(states.float().numpy(), users, histories)
        found = [source.retrieve(query) for source in self.sources.values()]
        scores = recommendable(self.base.scores(states), histories, self.candidates)  # [B, n]
        lengths = torch.tensor([len(history) for history in histories])
        retrieved = [as_tensors(one.items, one.similarities, one.ages, scores.dtype) for one in found]
        return self.fusion(scores, lengths, retrieved)


def recommendable(
    scores: Tensor, histories: list[NDArray[np.int64]], candidates: NDArray[np.bool_]
) -> Tensor:
    """Return scores [B, n] with -inf for items of the history and for items that may not be recommended."""
    return scores.masked_fill(excluded_items(histories, candidates), -torch.inf)  # [B, n]


def as_tensors(
    items: NDArray[np.integer],
    similarities: NDArray[np.float32],
    ages: NDArray[np.float32],
    dtype: torch.dtype,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return what the fusion reads of a source: items int64 [B, K], similarities [B, K] and ages [K]."""
    weights, distances = torch.from_numpy(similarities).to(dtype), torch.from_numpy(ages).to(dtype)
    return torch.from_numpy(items).long(), weights, distances
