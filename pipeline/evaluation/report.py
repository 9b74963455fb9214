"""Metrics of one variant on validation and test targets, and the distribution of the test ranks."""

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ..data.sequences import Sequences
from .evaluator import Scorer, rank_targets
from .metrics import metrics_from_ranks

RANK_LIMITS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)


def evaluate(
    scorer: Scorer, sequences: Sequences, candidates: NDArray[np.bool_], batch_users: int
) -> tuple[dict[str, Any], pl.DataFrame]:
    """Rank the whole catalogue for every user, once per target.

    At test time the validation item belongs to the history.

    Args:
        scorer: the variant.
        sequences: the data and its split.
        candidates: bool [n], items that may be ranked.
        batch_users: users per batch; changes speed, not metrics.

    Returns:
        `{"validation": {...}, "test": {...}, "users": …, "candidates": …}`, and the share of users whose test
        target ranks within the first k, for the k of `RANK_LIMITS` (columns k, recall).

    Raises:
        DataError: no user has a target.
        NumericalError: a score is NaN.
    """
    validation = rank_targets(
        scorer, sequences.validation_histories(), sequences.validation, candidates, batch_users
    )
    test = rank_targets(scorer, sequences.test_histories(), sequences.test, candidates, batch_users)
    metrics = {
        "validation": metrics_from_ranks(validation),
        "test": metrics_from_ranks(test),
        "users": len(test),
        "candidates": int(candidates.sum()),
    }
    recall = [float((test <= k).mean()) for k in RANK_LIMITS]
    return metrics, pl.DataFrame({"k": list(RANK_LIMITS), "recall": recall})
