"""Metrics of several variants side by side."""

from typing import Any

from ..core.errors import DataError


def metrics_table(results: dict[str, Any]) -> list[list[str]]:
    """Return the rows of a table, header first: one row per variant and split, one column per metric.

    Args:
        results: per variant what `evaluate` returned: `{"validation": {...}, "test": {...}, …}`.

    Raises:
        DataError: a variant has no metrics of a split, what is no number from 0 to 1, or other metrics than the others.
    """
    names: list[str] = []
    rows = []
    for variant, metrics in results.items():
        for split in ("validation", "test"):
            values = _values(metrics, split)
            names = names or list(values)
            if not values or list(values) != names:
                raise DataError(
                    f"the metrics of {variant} lack those of {split}, or they differ from the others",
                    remedy=f"run `dvc repro evaluate_{variant}`",
                )
            rows.append([variant, split, *values.values()])
    return [["variant", "split", *names], *rows]


def _values(metrics: Any, split: str) -> dict[str, str]:
    """Return the metrics of a split as text, sorted by name; none where one of them is no metric."""
    found = metrics.get(split) if isinstance(metrics, dict) else None
    if not isinstance(found, dict):
        return {}
    for name, value in found.items():
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not (number and 0 <= value <= 1 and name.isprintable()):  # neither is NaN
            return {}
    return {name: f"{value:.4f}" for name, value in sorted(found.items())}
