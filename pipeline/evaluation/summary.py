"""Metrics of a variant, and of the baselines, from ranks: with bootstrap intervals over users, and by slice."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ..core.files import atomic_path
from ..ranking.metrics import metrics_by_target, metrics_from_ranks
from .params import EvaluateParams
from .ranks import sliced, user_ranks

RANK_LIMITS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
CONFIDENCE = 0.95


def summarise(ranks: pl.DataFrame, candidates: int, params: EvaluateParams) -> dict[str, Any]:
    """Return the metrics of a variant from the ranks that `evaluate` returned, among a number of candidates.

    `{"validation": {...}, "test": {...}, "intervals": {"test": {metric: {"low": …, "high": …}}}, "users": …,
    "validation_users": …, "candidates": …, "slices": {...}}`, the slices as by `slice_metrics`.
    """
    return {
        **summarise_test(ranks, candidates, params),
        "validation": metrics_from_ranks(ranks["validation"].drop_nulls()),
        "validation_users": ranks.drop_nulls("validation")["user"].n_unique(),
    }


def summarise_test(ranks: pl.DataFrame, candidates: int, params: EvaluateParams) -> dict[str, Any]:
    """Return the metrics of `summarise` without validation, for a model that was fitted to the validation targets."""
    test = user_ranks(ranks)
    ends = certainty(metrics_by_target(test["rank"]), test["user"].to_numpy(), params)
    return {
        "test": metrics_from_ranks(test["rank"]),
        "intervals": {"test": {name: {"low": end["low"], "high": end["high"]} for name, end in ends.items()}},
        **_sizes(test),
        "candidates": candidates,
        "slices": slice_metrics(ranks),
    }


def headlines(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Return what DVC's commands show: the test metrics, and any validation NDCG@10, by which runs are chosen."""
    chosen_by = metrics.get("validation", {}).get("ndcg@10")
    return {**metrics["test"], **({} if chosen_by is None else {"validation_ndcg@10": chosen_by})}


def summarise_baselines(ranks: pl.DataFrame) -> dict[str, dict[str, dict[str, float]]]:
    """Return `{baseline: {"validation": {...}, "test": {...}}}` from ranks with the columns of `BASELINES_SCHEMA`."""
    return {
        str(name): {split: metrics_from_ranks(part[split].drop_nulls()) for split in ("validation", "test")}
        for (name,), part in ranks.group_by("baseline", maintain_order=True)
    }


def slice_metrics(ranks: pl.DataFrame) -> dict[str, dict[str, Any]]:
    """Return `{slice: {group: {"users": …, metric: …}}}` of the test targets; without users, a group has no metrics."""
    return {
        name: {
            group: {**_sizes(part), **(metrics_from_ranks(part["rank"]) if len(part) else {})}
            for group, part in groups.items()
        }
        for name, groups in sliced(ranks).items()
    }


def _sizes(ranks: pl.DataFrame) -> dict[str, int]:
    """Return the number of users, and of targets where these are more."""
    users = ranks["user"].n_unique()
    return {"users": users, **({"targets": len(ranks)} if len(ranks) > users else {})}


def slices_table(summaries: Mapping[str, Mapping[str, Any]]) -> pl.DataFrame:
    """Return the slices in all variants' summaries as one table: variant, slice, group, users, and the metrics."""
    return pl.DataFrame(
        [
            {"variant": variant, "slice": name, "group": group, **metrics}
            for variant, summary in summaries.items()
            for name, groups in summary["slices"].items()
            for group, metrics in groups.items()
            if metrics["users"]
        ]
    )


def recall_curve(ranks: pl.DataFrame) -> pl.DataFrame:
    """Return the share of test targets that rank within the first k of `RANK_LIMITS`: columns k, recall."""
    test = ranks["test"].drop_nulls().to_numpy()
    return pl.DataFrame({"k": RANK_LIMITS, "recall": [float((test <= k).mean()) for k in RANK_LIMITS]})


def write_csv(path: Path, table: pl.DataFrame) -> None:
    """Write a table for plots."""
    with atomic_path(path) as temporary:
        table.write_csv(temporary, float_precision=6)


def resampled_means(
    values: NDArray[np.float64], users: NDArray[np.int64], resamples: int, seed: int
) -> NDArray[np.float64]:
    """Return the means, float64 [R, M], of R resamples; each draws as many users as there are, with replacement.

    Equal seeds draw the same users, so that the columns, and the variants, are paired.

    `values` [N, M] are M values of each target, `users` [N] the user of each; a drawn user brings all its targets.
    """
    generator = np.random.default_rng(seed)
    owners = np.unique(users, return_inverse=True)[1]  # [N]
    counts = np.bincount(owners)  # [U]
    sums = np.zeros((len(counts), values.shape[1]))
    np.add.at(sums, owners, values)
    means = np.empty((resamples, values.shape[1]))
    for mean in means:
        drawn = np.bincount(generator.integers(len(counts), size=len(counts)), minlength=len(counts))
        mean[:] = drawn @ sums / (drawn @ counts)
    return means


def intervals(means: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the lower and upper ends [M] of the percentile intervals of resampled means [R, M]."""
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(means, [tail, 1 - tail], axis=0)
    return low, high


def p_values(differences: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the two-sided p [M] of "no difference", from resampled mean differences [R, M].

    Twice the share of resamples in which the difference is zero or has the other sign (Efron and Tibshirani 1993,
    section 15.4). The data count as one more resample, so that p is never 0.
    """
    smaller = np.minimum((differences <= 0).sum(0), (differences >= 0).sum(0))  # [M]
    return np.minimum(1, 2 * (1 + smaller) / (1 + len(differences)))


def certainty(
    values: Mapping[str, NDArray[np.float64]], users: NDArray[np.int64], params: EvaluateParams
) -> dict[str, dict[str, float]]:
    """Return the 95% interval of each mean, and the p of "it is 0": `{name: {"low": …, "high": …, "p": …}}`.

    `values` are [N] of each name, `users` int64 [N] the users of the targets.
    """
    stacked = np.stack(list(values.values()), 1)  # [N, M]
    means = resampled_means(stacked, users, params.resamples, params.seed)  # [R, M]
    low, high = intervals(means)
    found = pl.DataFrame({"low": low, "high": high, "p": p_values(means)})
    return dict(zip(values, found.to_dicts(), strict=True))
