"""Variant `hierarchical`: the sequence model ranks the catalogue alone."""

import copy

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..data.sequences import pad_histories
from .ensemble import UserModel


class HierarchicalRecommender:
    """Scores the catalogue from the latest items of a history, in one forward pass and one product.

    What depends on items alone is computed once: a model that is trained on needs another recommender.

    Args:
        model: trained.
        history: items that it reads at most.
        dtype: of the computation. In float64 (the default) rounding is too small to change a rank, so that
            results do not depend on the batch size; float32 is twice as fast.
    """

    def __init__(self, model: UserModel, history: int, dtype: torch.dtype = torch.float64) -> None:
        self.model = model if dtype == torch.float32 else copy.deepcopy(model).to(dtype)
        self.model.eval()
        self.history, self.dtype = history, dtype
        with torch.no_grad():
            self._item_inputs = self.model.item_inputs()  # [n, D]
            self._keys, self._biases = self.model.catalogue()  # [n, D], [n]

    def states(self, histories: list[NDArray[np.int64]]) -> Tensor:
        """Return the users after their histories, [B, D]."""
        rows, lengths = pad_histories(histories, self.history)
        return self.model.users(torch.from_numpy(rows), torch.from_numpy(lengths), self._item_inputs)

    def scores(self, states: Tensor) -> Tensor:
        """Return the scores of the whole catalogue, [B, n], for users [B, D]."""
        return states @ self._keys.T + self._biases  # [B, n]

    def score_histories(self, histories: list[NDArray[np.int64]], users: NDArray[np.int64]) -> Tensor:
        """Score the whole catalogue: [B, n], logits. Who the users are makes no difference."""
        return self.scores(self.states(histories))
