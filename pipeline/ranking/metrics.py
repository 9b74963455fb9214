"""Recall and NDCG of one target per user, computed from its rank."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..core.errors import DataError

KS = (10, 20)
NAMES = {"ndcg@10": "NDCG@10", "recall@10": "Recall@10", "ndcg@20": "NDCG@20", "recall@20": "Recall@20"}
"""Names of the metrics for people."""


def metrics_by_target(ranks: ArrayLike) -> dict[str, NDArray[np.float64]]:
    """Return NDCG@k and Recall@k of each target: `{"ndcg@10": [N], "ndcg@20": …, "recall@10": …, …}`.

    NDCG@k is `1 / log2(1 + rank)` and Recall@k is 1 if the target is among the first k, else both are 0.

    `ranks` [N] are of the targets. 1 is best; ties give fractions (10.5 is outside the first 10); infinity
    is a target that was not ranked. Raises ``DataError`` if there is no rank, or one is NaN or below 1.
    """
    ranks = np.asarray(ranks, np.float64)
    if ranks.size == 0:
        raise DataError("no user has a target, so there is nothing to evaluate", "ranks", "check the split")
    if not (ranks >= 1).all():
        worst = int(np.argmin(ranks >= 1))
        raise DataError(f"{ranks[worst]} is not a rank; ranks begin at 1", f"ranks, row {worst}")
    gains = {"ndcg": 1 / np.log2(1 + ranks), "recall": np.ones_like(ranks)}
    return {f"{name}@{k}": np.where(ranks <= k, gain, 0.0) for name, gain in gains.items() for k in KS}


def metrics_from_ranks(ranks: ArrayLike) -> dict[str, float]:
    """Return the means of `metrics_by_target`, which describes ranks and errors."""
    return {name: float(values.mean()) for name, values in metrics_by_target(ranks).items()}
