"""Mean and standard deviation of results with different seeds."""

from collections.abc import Sequence
from statistics import fmean, stdev
from typing import Any

Numbers = dict[str, Any]
"""Nested numbers."""


def over_seeds(results: Sequence[Numbers]) -> Numbers:
    """Return mean and sample standard deviation of each number; an integer equal in all results is kept as it is."""
    summary: Numbers = {}
    for key, first in sorted(results[0].items()):
        values = [result[key] for result in results]
        if isinstance(first, dict):
            summary[key] = over_seeds(values)
        elif isinstance(first, int) and len(set(values)) == 1:
            summary[key] = first
        else:
            spread = {"sd": round(stdev(values), 6)} if len(values) > 1 else {}
            summary[key] = {"mean": round(fmean(values), 6), **spread}
    return summary
