"""Metrics of several variants side by side."""

from typing import Any


def metrics_table(results: dict[str, Any]) -> list[list[str]]:
    """Return the rows of a table, header first: one row per variant and split, one column per metric.

    Args:
        results: per variant what `evaluate` returned: `{"validation": {...}, "test": {...}, …}`.
    """
    names = sorted(next(iter(results.values()))["test"])
    rows = [["variant", "split", *names]]
    for variant, metrics in results.items():
        for split in ("validation", "test"):
            rows.append([variant, split, *(f"{metrics[split][name]:.4f}" for name in names)])
    return rows
