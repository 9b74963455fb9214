"""Two variants on the same users: how much better is the second, and may that be chance?"""

from typing import Any

import polars as pl

from ..core.errors import DataError
from ..ranking.metrics import metrics_by_user
from .bootstrap import certainty
from .params import EvaluateParams
from .ranks import PERTURBED, sliced, user_ranks
from .slices import GROUPS


def compare(ranks: dict[str, pl.DataFrame], params: EvaluateParams) -> dict[str, Any]:
    """Compare the test metrics of two variants, over all users and by slice.

    Args:
        ranks: the table that `evaluate` returned, by variant; the first variant is the base.
        params: section `evaluate`.

    Returns:
        `{"test": {metric: {BASE: x, OTHER: y, "relative": (y - x) / x, "low": …, "high": …, "p": …}},
        "slices": {slice: {group: {metric: {...}}}}}` with the 95% bootstrap interval of y - x and its two-sided p,
        paired over users. Where x is 0 there is no `relative`; a group without users is left out.

    Raises:
        DataError: the variants were not evaluated for the same users and targets.
    """
    base, other = ranks.values()
    same = ["user", *GROUPS, *(pl.col(name).is_null() for name in ("validation", "test", *PERTURBED))]
    if not base.select(same).equals(other.select(same)):
        names = " and ".join(ranks)
        raise DataError(
            f"{names} were not evaluated for the same users and targets",
            "artifacts/ranks",
            "run `dvc repro`, so that both come from the same data",
        )

    def compared(first: pl.DataFrame, second: pl.DataFrame) -> dict[str, Any]:
        """Compare user and rank of the same targets."""
        before, after = metrics_by_user(first["rank"]), metrics_by_user(second["rank"])
        differences = {name: after[name] - before[name] for name in before}
        result: dict[str, Any] = certainty(differences, first["user"].to_numpy(), params)
        for name, values in result.items():
            x, y = float(before[name].mean()), float(after[name].mean())
            values |= {**dict(zip(ranks, (x, y), strict=True)), **({"relative": (y - x) / x} if x else {})}
        return result

    others = sliced(other)
    return {
        "test": compared(user_ranks(base), user_ranks(other)),
        "slices": {
            name: {group: compared(part, others[name][group]) for group, part in parts.items() if len(part)}
            for name, parts in sliced(base).items()
        },
    }
