"""Two variants on the same users: how much better is the second, and may that be chance?"""

from typing import Any

import numpy as np
import polars as pl

from ..core.errors import DataError
from ..ranking.metrics import metrics_by_user
from .bootstrap import intervals, p_values, resampled_means
from .params import EvaluateParams
from .ranks import sliced, user_ranks
from .slices import GROUPS


def compare(ranks: dict[str, pl.DataFrame], params: EvaluateParams) -> dict[str, Any]:
    """Compare the test metrics of two variants, over all users and by slice.

    Args:
        ranks: by variant what `evaluate` returned; the first is the base.
        params: section `evaluate`.

    Returns:
        `{"test": {metric: {BASE: x, OTHER: y, "relative": (y - x) / x, "low": …, "high": …, "p": …}},
        "slices": {slice: {group: {metric: {...}}}}}` with the 95% bootstrap interval of y - x and its two-sided p,
        paired over users. Where x is 0 there is no `relative`; a group without users is left out.

    Raises:
        DataError: the variants were not evaluated for the same users and targets.
    """
    base, other = ranks.values()
    same = ["user", *GROUPS, *(pl.col(split).is_null() for split in ("validation", "test"))]
    if not base.select(same).equals(other.select(same)):
        names = " and ".join(ranks)
        raise DataError(
            f"{names} were not evaluated for the same users and targets",
            "artifacts/ranks",
            "run `dvc repro`, so that both come from the same data",
        )

    def compared(first: pl.DataFrame, second: pl.DataFrame) -> dict[str, Any]:
        return _compare_metrics(dict(zip(ranks, (first, second), strict=True)), params)

    groups = sliced(base)
    return {
        "test": compared(user_ranks(base), user_ranks(other)),
        "slices": {
            name: {
                group: compared(part, sliced(other)[name][group])
                for group, part in parts.items()
                if len(part)
            }
            for name, parts in groups.items()
        },
    }


def _compare_metrics(ranks: dict[str, pl.DataFrame], params: EvaluateParams) -> dict[str, Any]:
    """Compare the metrics of two variants on the same targets; user and rank of each."""
    base, other = (metrics_by_user(part["rank"]) for part in ranks.values())
    users = next(iter(ranks.values()))["user"].to_numpy()
    differences = np.stack([other[name] - base[name] for name in base], 1)  # [N, M]
    means = resampled_means(differences, params.resamples, params.seed, users)  # [R, M]
    low, high = intervals(means)
    p = p_values(means)
    result = {}
    for m, metric in enumerate(base):
        x, y = (float(values[metric].mean()) for values in (base, other))
        result[metric] = {
            **dict(zip(ranks, (x, y), strict=True)),
            **({"relative": (y - x) / x} if x else {}),
            "low": float(low[m]),
            "high": float(high[m]),
            "p": float(p[m]),
        }
    return result
