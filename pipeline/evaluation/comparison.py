"""Comparison of two variants with bootstrap confidence intervals, and with published models."""

from collections.abc import Mapping
from typing import Any

import polars as pl

from ..core.errors import DataError
from ..ranking.metrics import metrics_by_target
from .params import EvaluateParams
from .ranks import GROUPS, sliced, user_ranks
from .summary import certainty

# The data set that the numbers belong to, by its counts; split by time it has other targets.
MOVIELENS_1M = {"interactions": 1_000_209, "users": 6_040, "targets": 6_040}

PUBLISHED = {
    "SASRec": {"ndcg@10": 0.1684, "recall@10": 0.2929},
    "HSTU": {"ndcg@10": 0.1719, "recall@10": 0.3037},
    "eSASRec": {"ndcg@10": 0.1772, "recall@10": 0.3133},
    "FuXi-α": {"ndcg@10": 0.1813, "recall@10": 0.3164},
}
"""Published results on MovieLens-1M under the same protocol (leave-one-out, full catalogue, ties by row), as the
benchmark of eSASRec calculates them (arXiv 2508.06450); SASRec with sampled softmax."""


def compare(ranks: dict[str, pl.DataFrame], params: EvaluateParams) -> dict[str, Any]:
    """Compare the test metrics of two variants, over all users and by slice.

    `ranks` are the tables that `evaluate` returned, by variant; the first variant is the base. Raises ``DataError`` if
    they were not evaluated for the same users and targets.

    Returns:
        `{"test": {metric: {BASE: x, OTHER: y, "relative": (y - x) / x, "low": …, "high": …, "p": …}},
        "slices": {slice: {group: {metric: {...}}}}}` with the 95% bootstrap interval of y - x and its two-sided p,
        paired over users. Where x is 0 there is no `relative`. A group without users is left out, and so are perturbed
        histories that were not ranked for the same users, as of models that were fitted again.
    """
    base, other = ranks.values()
    same = ["user", *GROUPS, pl.col("test").is_null()]
    if not base.select(same).equals(other.select(same)):
        what = f"{' and '.join(ranks)} were not evaluated for the same users and targets"
        raise DataError(what, "artifacts/ranks", "run `dvc repro`, so that both come from the same data")

    def compared(first: pl.DataFrame, second: pl.DataFrame) -> dict[str, Any]:
        """Compare user and rank of the same targets."""
        before, after = metrics_by_target(first["rank"]), metrics_by_target(second["rank"])
        differences = {name: after[name] - before[name] for name in before}
        result: dict[str, Any] = certainty(differences, first["user"].to_numpy(), params)
        for name, values in result.items():
            x, y = float(before[name].mean()), float(after[name].mean())
            values |= dict(zip(ranks, (x, y), strict=True))
            if x:
                values["relative"] = (y - x) / x
        return result

    others = sliced(other)
    return {
        "test": compared(user_ranks(base), user_ranks(other)),
        "slices": {
            name: {
                group: compared(part, others[name][group])
                for group, part in parts.items()
                if len(part) and part["user"].equals(others[name][group]["user"])
            }
            for name, parts in sliced(base).items()
        },
    }


def beside_published(results: Mapping[str, Mapping[str, float]], counts: Mapping[str, int]) -> pl.DataFrame:
    """Return the variants beside published models; on data other than MovieLens-1M, the variants alone.

    Columns model, ndcg@10, recall@10; from the lowest NDCG to the highest. `results` are the test metrics of each
    variant, `counts` at least the `interactions`, `users` and test `targets` of the data.
    """
    known = PUBLISHED if MOVIELENS_1M.items() <= counts.items() else {}
    rows = [{"model": model, **metrics} for model, metrics in {**known, **results}.items()]
    return pl.DataFrame(rows).select("model", "ndcg@10", "recall@10").sort("ndcg@10", "model")
