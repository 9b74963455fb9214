"""Metrics of the lists that users see: how many items they cover, how new, how different and how popular these are."""

from typing import Any

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..core.sequences import Sequences
from ..ranking.evaluator import HistoryScorer
from ..ranking.ranking import excluded_items, top_items

LENGTH = 10  # items of a list
_BLOCK = 4096  # lists whose vectors are in memory at a time


class TopLists:
    """A scorer that passes scores on and keeps the best items of each history; ties by row.

    Only `candidates`, bool [n], are ranked; items of the history too if they are `repeated`.
    """

    def __init__(self, scorer: HistoryScorer, candidates: NDArray[np.bool_], repeated: bool = False) -> None:
        self._scorer, self._candidates, self._repeated = scorer, candidates, repeated
        self._lists: list[NDArray[np.int64]] = []

    def score_histories(self, histories: list[NDArray[np.int64]], users: NDArray[np.int64]) -> Tensor:
        """Return the recommender's scores [B, n]."""
        scores = self._scorer.score_histories(histories, users)
        excluded = excluded_items(histories, self._candidates, self._repeated)
        self._lists.append(top_items(torch.as_tensor(scores).float(), excluded, LENGTH))
        return scores

    @property
    def items(self) -> NDArray[np.int64]:
        """The best items of all histories so far, int64 [R, LENGTH], best first; -1 if too few are ranked."""
        return np.concatenate([np.empty((0, LENGTH), np.int64), *self._lists])


def list_metrics(
    top: NDArray[np.int64],
    sequences: Sequences,
    ranks: pl.DataFrame,
    candidates: NDArray[np.bool_],
    vectors: NDArray[np.float32] | None = None,
) -> dict[str, Any]:
    """Return the metrics of the lists of test users.

    `top` are the lists, int64 [R, LENGTH], see `TopLists.items`; `ranks` what `evaluate` returned; `candidates`, bool
    [n], the items that may be ranked; `vectors`, float32 [n, d], the item vectors, None: without diversity.

    Returns:
        `coverage@10`: share of the candidates that are in a list.
        `novelty@10`: mean self-information of the recommended items, -log2 of their share of the training interactions
            (each item counts one more, so that no share is 0).
        `diversity@10`: mean cosine distance of two items of a list; without a list of two items, it is left out.
        `popularity@10`: mean training interactions of the `recommended` items, and of the items that were `taken`.
        `mrr`: mean of 1 / rank.
    """
    shown, counts = top[top >= 0], sequences.training_counts(len(candidates))
    information = -np.log2((counts + 1) / (counts.sum() + len(counts)))  # [n]
    taken = sequences.test[ranks["test"].is_not_null().to_numpy()]
    popularity = {"recommended": float(counts[shown].mean()), "taken": float(counts[taken].mean())}
    metrics = {
        f"coverage@{LENGTH}": len(np.unique(shown)) / int(candidates.sum()),
        f"novelty@{LENGTH}": float(information[shown].mean()),
        f"popularity@{LENGTH}": popularity,
        "mrr": float((1 / ranks["test"].drop_nulls().to_numpy()).mean()),
    }
    if vectors is None or not (top[:, 1:2] >= 0).any():
        return metrics
    return {**metrics, f"diversity@{LENGTH}": _diversity(top, vectors)}


def _diversity(top: NDArray[np.int64], vectors: NDArray[np.float32]) -> float:
    """Return the mean over lists of the mean cosine distance of two items; a list of one item does not count."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = vectors / np.where(norms > 0, norms, 1)  # [n, d]; a vector of zeros is at distance 1 from all
    distances = []
    for lists in np.split(top, range(_BLOCK, len(top), _BLOCK)):
        there = (lists >= 0)[:, :, None]  # [R, k, 1]
        rows = np.where(there, unit[lists], 0).astype(np.float64)  # [R, k, d]
        length = there.sum((1, 2))  # [R]
        # The squared norm of a sum is the sum of all dot products, including each vector's with itself.
        products = (rows.sum(1) ** 2).sum(1) - (rows**2).sum((1, 2))  # [R]
        several = length > 1
        distances.append(1 - products[several] / (length * (length - 1))[several])
    return float(np.concatenate(distances).mean())
