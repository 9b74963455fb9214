"""Scores of the catalogue for people who wait, with all that led to them."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..model.ensemble import UserModel
from ..model.hierarchical import HierarchicalRecommender
from ..rag.fusion import Fusion
from ..rag.rag import as_tensors, recommendable
from ..rag.sources import Query, Retrieved, Source


@dataclass(frozen=True)
class Scored:
    """A batch of histories with their scores, and all that led to them.

    Attributes:
        query: the users.
        model_scores: [B, n], the sequence model's; -inf for what may not be recommended.
        retrieved: what each source found.
        scores: [B, n], those to rank by: fused where something is retrieved, else the model's.
    """

    query: Query
    model_scores: Tensor
    retrieved: list[Retrieved]
    scores: Tensor


class Scorer:
    """Either variant in float32, which keeps what it retrieved.

    Args:
        model: trained.
        history: items that it reads at most.
        candidates: bool [n], items that may be recommended.
        sources: of retrieval, in the order of the fusion; none for the hierarchical variant.
        fusion: of this model and these sources, where there are any.
    """

    def __init__(
        self,
        model: UserModel,
        history: int,
        candidates: NDArray[np.bool_],
        sources: Mapping[str, Source] | None = None,
        fusion: Fusion | None = None,
    ) -> None:
        self._base, self.candidates = HierarchicalRecommender(model, history, torch.float32), candidates
        self.sources, self.fusion = dict(sources or {}), fusion

    @torch.inference_mode()
    def score(self, histories: list[NDArray[np.int64]], users: NDArray[np.int64]) -> Scored:
        """Score the whole catalogue for a batch.

        Args:
            histories: item rows, oldest first.
            users: int64 [B], user rows, so that nobody retrieves entries of his own; `ANONYMOUS`: not known.
        """
        states = self._base.states(histories)  # [B, D]
        query = Query(states.numpy(), users, histories)
        model_scores = recommendable(self._base.scores(states), histories, self.candidates)  # [B, n]
        if self.fusion is None:
            return Scored(query, model_scores, [], model_scores)
        retrieved = [source.retrieve(query) for source in self.sources.values()]
        found = [as_tensors(one.items, one.similarities, one.ages, states.dtype) for one in retrieved]
        whole = torch.tensor([len(history) for history in histories])  # [B]
        return Scored(query, model_scores, retrieved, self.fusion(model_scores, whole, found))
