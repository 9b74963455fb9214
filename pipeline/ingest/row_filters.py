"""Filters of interactions: by rating, and by the numbers of interactions of users and items (k-core)."""

from collections.abc import Iterator

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ..core.errors import NoRowsError
from .event_log import EventLog
from .params import TableParams


def filtered(log: EventLog, params: TableParams) -> tuple[EventLog, dict[str, int]]:
    """Return the interactions that count, and `{"removed_<param>": rows}` for each param that is set.

    First, rows below `min_rating` are removed; then users and items in turn, until nothing changes: without a user, an
    item may fall below its bound, and vice versa. If `min_rating` is set, every row has a rating. Raises
    ``NoRowsError`` if no interaction is left.
    """
    lowest, counting = params.min_rating, {"user": log.user_counts > 0, "item": log.item_seen.copy()}

    def rows() -> Iterator[NDArray[np.void]]:
        for block in log.blocks():
            kept = counting["user"][block["user"]] & counting["item"][block["item"]]
            yield block[kept if lowest is None else kept & (block["rating"] >= lowest)]

    removed = {} if lowest is None else {"removed_min_rating": len(log) - sum(map(len, rows()))}
    every_bound = {"user": params.min_user_interactions, "item": params.min_item_interactions}
    bounds = {name: bound for name, bound in every_bound.items() if bound is not None}
    removed |= {f"removed_min_{name}_interactions": 0 for name in bounds}
    changed = True
    while changed:
        changed = False
        for name, bound in bounds.items():
            counts = np.zeros(len(counting[name]), np.int64)
            for block in rows():
                counts += np.bincount(block[name], minlength=len(counts))
            lost = int(counts[counts < bound].sum())
            counting[name][counts < bound] = False
            removed[f"removed_min_{name}_interactions"] += lost
            changed |= lost > 0
    if not any(removed.values()):
        return log, removed
    part = EventLog(log.listed, log.checks)
    for block in rows():
        users, items = log.user_ids(block["user"]), log.item_ids(block["item"])
        ratings = pl.Series(block["rating"]).fill_nan(None) if log.rows.rated else None
        part.append(users, items, pl.Series(block["timestamp"]), ratings, block["line"])
    if not len(part):
        remedy = "lower ingest.min_rating and ingest.min_…_interactions"
        raise NoRowsError("no interaction is left", log.checks.files[0][1], remedy)
    return part, removed
