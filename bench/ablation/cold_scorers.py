"""Scorers of cold items: the trained model with several residuals, TF-IDF, and random order."""

import copy
from collections.abc import Sequence

import numpy as np
import torch
from hierrec.model.sequence_model import SequenceModel
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.feature_extraction.text import TfidfVectorizer
from torch import Tensor


class ModelScorer:
    """Scores a trained model's user states against its catalogue, with other residuals if given.

    Args:
        states: float64 [U, D], one per user.
        model: trained.
        residual: [n, R], residuals of the ranked items; None: the model's own.
    """

    def __init__(self, states: Tensor, model: SequenceModel, residual: Tensor | None = None) -> None:
        self.states = states
        catalogue = copy.deepcopy(model).to(states.dtype)
        if residual is not None:
            catalogue.items.residual.data = residual.to(states.dtype)
        with torch.inference_mode():
            self.keys, self.biases = catalogue.item_keys()  # [n, D], [n]

    def score_histories(self, histories: list[NDArray[np.int64]], users: NDArray[np.int64]) -> Tensor:
        """Score the whole catalogue, [B, n]."""
        return self.states[torch.from_numpy(users)] @ self.keys.T + self.biases


def residuals(model: SequenceModel, cold: NDArray[np.bool_], neighbours: int) -> dict[str, Tensor]:
    """Return alternative residuals of the ranked items, each [n, R]; empty if R is 0.

    `model_mean`: a cold item gets the mean over trained items. `model_inherited`: it gets the mean over the trained
    items with the nearest texts. `model_text_alone`: no item has a residual, trained items included.
    """
    residual, frozen = model.items.residual.detach(), model.items.frozen  # [n, R], [n, F]
    if residual.shape[1] == 0:
        return {}
    is_cold = torch.from_numpy(cold)
    unit = torch.nn.functional.normalize(frozen, dim=1)
    nearest = (unit[is_cold] @ unit[~is_cold].T).topk(neighbours).indices  # [c, k], among the trained items
    mean, inherited = residual.clone(), residual.clone()
    mean[is_cold] = residual[~is_cold].mean(0)
    inherited[is_cold] = residual[~is_cold][nearest].mean(1)
    return {"model_mean": mean, "model_inherited": inherited, "model_text_alone": torch.zeros_like(residual)}


class TfIdfScorer:
    """Scores every item by its similarity to the mean TF-IDF vector of a history's latest items.

    Args:
        texts: one per item.
        recent: number of latest items of a history that are read.
    """

    def __init__(self, texts: Sequence[str], recent: int) -> None:
        self.vectors = TfidfVectorizer(sublinear_tf=True).fit_transform(texts).tocsr()  # [n, terms]
        self.recent = recent

    def score_histories(self, histories: list[NDArray[np.int64]], users: NDArray[np.int64]) -> Tensor:
        """Score the whole catalogue, [B, n]; an empty history gives every item the same score."""
        latest = [history[-self.recent :] for history in histories]
        starts = np.cumsum([0, *map(len, latest)])
        shape = (len(latest), self.vectors.shape[0])
        read = csr_matrix((np.ones(starts[-1]), np.concatenate(latest), starts), shape)  # [B, n]
        profiles = read @ self.vectors  # [B, terms]; the sum ranks items as the mean does
        return torch.from_numpy((profiles @ self.vectors.T).toarray())


def chance(
    histories: list[NDArray[np.int64]], targets: NDArray[np.int64], candidates: NDArray[np.bool_], k: int
) -> float:
    """Return the expected Recall@k of a random order of the candidates that are not in the history."""
    users = np.flatnonzero(targets >= 0)
    ranked = [candidates.sum() - candidates[np.unique(histories[user])].sum() for user in users]
    return float(np.mean(np.minimum(1, k / np.array(ranked))))
