"""Metrics of a variant, and of the baselines, from ranks: per target, with intervals, and by slice."""

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ..ranking.metrics import metrics_by_user, metrics_from_ranks
from .bootstrap import intervals, resampled_means
from .params import EvaluateParams
from .ranks import sliced

RANK_LIMITS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)


def summarise(ranks: pl.DataFrame, candidates: int, params: EvaluateParams) -> dict[str, Any]:
    """Return the metrics of a variant.

    Args:
        ranks: what `evaluate` returned.
        candidates: number of items that may be ranked.
        params: section `evaluate`.

    Returns:
        `{"validation": {...}, "test": {...}, "intervals": {"test": {metric: {"low": …, "high": …}}}, "users": …,
        "validation_users": …, "candidates": …, "slices": {...}}`, the slices as by `slice_metrics`.
    """
    return {
        **summarise_test(ranks, candidates, params),
        "validation": metrics_from_ranks(ranks["validation"].drop_nulls()),
        "validation_users": ranks["validation"].count(),
    }


def summarise_test(ranks: pl.DataFrame, candidates: int, params: EvaluateParams) -> dict[str, Any]:
    """Return what `summarise` returns, without the validation: for a model that is fitted to its targets."""
    test = ranks["test"].drop_nulls().to_numpy()
    return {
        "test": metrics_from_ranks(test),
        "intervals": {"test": metric_intervals(test, params)},
        "users": len(test),
        "candidates": candidates,
        "slices": slice_metrics(ranks),
    }


def summarise_baselines(ranks: pl.DataFrame) -> dict[str, dict[str, dict[str, float]]]:
    """Return `{baseline: {"validation": {...}, "test": {...}}}` from ranks with the columns of `BASELINES_SCHEMA`."""
    return {
        str(name): {
            split: metrics_from_ranks(part[split].drop_nulls().to_numpy()) for split in ("validation", "test")
        }
        for (name,), part in ranks.group_by("baseline", maintain_order=True)
    }


def slice_metrics(ranks: pl.DataFrame) -> dict[str, dict[str, Any]]:
    """Return `{slice: {group: {"users": …, metric: …}}}` of the test targets; without users, a group has no metrics."""
    return {
        name: {
            group: {"users": len(part), **(metrics_from_ranks(part) if len(part) else {})}
            for group, part in groups.items()
        }
        for name, groups in sliced(ranks).items()
    }


def slices_table(ranks: dict[str, pl.DataFrame]) -> pl.DataFrame:
    """Return the slices of all variants as one table: columns variant, slice, group, users, and one per metric.

    Args:
        ranks: by variant what `evaluate` returned.
    """
    return pl.DataFrame(
        [
            {"variant": variant, "slice": name, "group": group, **metrics}
            for variant, table in ranks.items()
            for name, groups in slice_metrics(table).items()
            for group, metrics in groups.items()
            if metrics["users"]
        ]
    )


def metric_intervals(ranks: NDArray[np.float64], params: EvaluateParams) -> dict[str, dict[str, float]]:
    """Return the 95% percentile bootstrap interval of each metric: `{metric: {"low": …, "high": …}}`."""
    values = metrics_by_user(ranks)
    low, high = intervals(resampled_means(np.stack(list(values.values()), 1), params.resamples, params.seed))
    return {name: {"low": float(low[m]), "high": float(high[m])} for m, name in enumerate(values)}


def recall_curve(ranks: pl.DataFrame) -> pl.DataFrame:
    """Return the share of users whose test target ranks within the first k, for the k of `RANK_LIMITS`.

    Columns k, recall.
    """
    test = ranks["test"].drop_nulls().to_numpy()
    return pl.DataFrame({"k": RANK_LIMITS, "recall": [float((test <= k).mean()) for k in RANK_LIMITS]})
