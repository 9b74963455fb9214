"""Interactions that count: those with a sufficient rating, and of users and items with enough interactions (k-core)."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ..core.errors import DataError
from .checks import Refusal
from .event_log import EventLog
from .params import RowParams


def filtered(log: EventLog, params: RowParams) -> tuple[EventLog, dict[str, int]]:
    """Return the interactions that count, and the number of rows that each param removes.

    First, rows below `min_rating` are removed; then users and items by turns, until nothing changes: a user's loss may
    take an item below its bound, and vice versa.

    Returns:
        The log, or a shorter one; and `{"removed_<param>": rows}` for each param that is set.

    Raises:
        DataError: a rating is missing, or no interaction is left.
    """
    if not len(log):
        return log, {}
    lowest, counting = params.min_rating, {"user": log.user_counts > 0, "item": log.item_seen.copy()}

    def rows() -> Iterator[NDArray[np.void]]:
        for block in log.blocks():
            kept = counting["user"][block["user"]] & counting["item"][block["item"]]
            yield block[kept if lowest is None else kept & (block["rating"] >= lowest)]

    def counts(name: str) -> NDArray[np.int64]:
        """Return the number of interactions of each user or item that count."""
        total = np.zeros(len(counting[name]), np.int64)
        for block in rows():
            total += np.bincount(block[name], minlength=len(total))
        return total

    removed = {} if lowest is None else {"removed_min_rating": _count_below(log, lowest)}
    bounds = {"user": params.min_user_interactions, "item": params.min_item_interactions}
    removed |= {f"removed_min_{name}_interactions": 0 for name, bound in bounds.items() if bound}
    changed = True
    while changed:
        changed = False
        for name, bound in bounds.items():
            if bound is not None:
                found = counts(name)
                lost = int(found[found < bound].sum())
                counting[name][found < bound] = False
                removed[f"removed_min_{name}_interactions"] += lost
                changed |= lost > 0
    if not any(removed.values()):
        return log, removed
    users, items = (counts(name) > 0 for name in bounds)
    part = log.part(users, items, rows())
    if not len(part):
        remedy = "lower ingest.min_rating and ingest.min_…_interactions"
        raise DataError("no interaction is left", _place(log), remedy)
    return part, removed


def _count_below(log: EventLog, rating: float) -> int:
    """Return the number of interactions below a rating."""
    if not log.rows.rated:
        remedy = "name its column (ingest.columns: {rating: …}), or set ingest.min_rating to null"
        raise DataError("there is no column of ratings, which ingest.min_rating needs", _place(log), remedy)
    below = 0
    for block in log.blocks():
        missing = np.isnan(block["rating"])
        if missing.any() and log.origin is not None:
            near = f"(and {missing.sum() - 1:,} more near it)"
            what = f"a rating is missing {near}, which ingest.min_rating needs"
            remedy = "leave the row out (ingest.where: rating IS NOT NULL), or set ingest.min_rating to null"
            raise log.origin.error(Refusal(what, int(block["line"][missing.argmax()]), 1, remedy))
        below += int((block["rating"] < rating).sum())
    return below


def _place(log: EventLog) -> str:
    return "the interactions" if log.origin is None else log.origin.find(0)[0]
