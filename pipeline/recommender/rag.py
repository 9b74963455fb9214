"""Variant `rag`: the sequence model's ranking fused with what retrieval finds."""

import copy
from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..retrieval.sources import Query, Retrieved, Source
from .fusion import Fusion
from .hierarchical import HierarchicalRecommender


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
        self.fusion = copy.deepcopy(fusion).to(base.model.head.weight.dtype).eval()
        self.candidates = candidates

    def score_histories(self, histories: list[NDArray[np.int64]], users: NDArray[np.int64]) -> Tensor:
        """Score the whole catalogue: [B, n], log-probabilities; -inf for items of the history.

        Args:
            histories: item rows, oldest first.
            users: int64 [B], user rows, so that nobody retrieves entries of his own; -1: not a known user.
        """
        states = self.base.states(histories)  # [B, D]
        query = Query(states.float().numpy(), users, histories)
        retrieved = [source.retrieve(query) for source in self.sources.values()]
        scores = recommendable(self.base.model.score(states), histories, self.candidates)  # [B, n]
        lengths = torch.tensor([len(history) for history in histories])
        return self.fusion(states, scores, lengths, [as_tensors(found, scores.dtype) for found in retrieved])


def recommendable(
    scores: Tensor, histories: list[NDArray[np.int64]], candidates: NDArray[np.bool_]
) -> Tensor:
    """Return scores [B, n] with -inf for items of the history and for items that may not be recommended."""
    scores = scores.masked_fill(torch.from_numpy(~candidates), -torch.inf)  # [B, n]
    for row, history in enumerate(histories):
        scores[row, torch.from_numpy(history)] = -torch.inf
    return scores


def as_tensors(found: Retrieved, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    """Return items int64, similarities and ages, each [B, K], for the fusion."""
    similarities, ages = (
        torch.from_numpy(np.array(part)).to(dtype) for part in (found.similarities, found.ages)
    )
    return torch.from_numpy(np.array(found.items)), similarities, ages
