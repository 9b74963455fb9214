"""Metrics of several variants side by side."""

import math
from typing import Any

from ..errors import DataError


def metrics_table(results: dict[str, Any]) -> list[list[str]]:
    """Return the rows of a table, header first: one row per variant and split, one column per metric.

    Args:
        results: per variant what `evaluate` returned: `{"validation": {...}, "test": {...}, …}`.

    Raises:
        DataError: a variant has no metrics of a split, or other metrics than the others.
    """
    names: list[str] = []
    rows = []
    for variant, metrics in results.items():
        for split in ("validation", "test"):
            try:
                values = {name: f"{value:.4f}" for name, value in sorted(metrics[split].items())}
                if not all(map(math.isfinite, metrics[split].values())):
                    values = {}
            except (KeyError, TypeError, AttributeError, ValueError):
                values = {}
            names = names or list(values)
            if not values or list(values) != names:
                raise DataError(
                    f"the metrics of {variant} lack those of {split}, or they differ from the others",
                    remedy=f"run `dvc repro evaluate_{variant}`",
                )
            rows.append([variant, split, *values.values()])
    return [["variant", "split", *names], *rows]
