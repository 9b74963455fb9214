"""Filters of interactions: by rating, and by the numbers of interactions of users and items (k-core)."""

from collections.abc import Iterable, Iterator

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ..core.errors import NoRowsError
from .event_log import EventLog
from .event_order import OrderedEvents, Repeats
from .params import TableParams


def filtered(log: EventLog, params: TableParams, repeats: Repeats) -> tuple[EventLog, dict[str, int]]:
    """Return the interactions that count, and the number of removed rows by the reason, `removed_<param>`.

    First, rows below `min_rating` are removed. Then, if there is a bound on the interactions of a user or an item,
    repeats that do not count, unless they are refused (later, by `build`). Then users and items in turn, until nothing
    changes: without a user, an item may fall below its bound, and vice versa. If `min_rating` is set, every row has a
    rating. Raises ``NoRowsError`` if no interaction is left.
    """
    removed, lowest = {}, params.min_rating
    if lowest is not None:
        removed["removed_min_rating"] = int(sum((block["rating"] < lowest).sum() for block in log.blocks()))
        if removed["removed_min_rating"]:
            log = _copied(log, (block[block["rating"] >= lowest] for block in log.blocks()))
    every_bound = {"user": params.min_user_interactions, "item": params.min_item_interactions}
    bounds = {name: bound for name, bound in every_bound.items() if bound is not None}
    if bounds and repeats != "refuse" and len(log):
        log, count = _without_repeats(log, repeats)
        removed |= {"removed_repeats": count} if count else {}
    counting = {"user": log.user_counts > 0, "item": log.item_seen.copy()}

    def rows() -> Iterator[NDArray[np.void]]:
        for block in log.blocks():
            yield block[counting["user"][block["user"]] & counting["item"][block["item"]]]

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
    if any(removed[f"removed_min_{name}_interactions"] for name in bounds):
        log = _copied(log, rows())
    if not len(log):
        remedy = "lower ingest.min_rating and ingest.min_…_interactions"
        raise NoRowsError("no interaction is left", log.checks.files[0][1], remedy)
    return log, removed


def _without_repeats(log: EventLog, repeats: Repeats) -> tuple[EventLog, int]:
    """Return a log without the repeats that do not count, and the number of these."""
    users, items = (np.arange(len(known), dtype=np.int32) for known in (log.user_counts, log.item_seen))
    ordered = OrderedEvents(log, users, items, repeats)
    return _copied(log, ordered.rows()) if ordered.removed else log, ordered.removed


def _copied(log: EventLog, blocks: Iterable[NDArray[np.void]]) -> EventLog:
    """Return a log of these rows of a log."""
    part = EventLog(log.listed, log.checks)
    for block in blocks:
        users, items = log.user_ids(block["user"]), log.item_ids(block["item"])
        ratings = pl.Series(block["rating"]).fill_nan(None) if log.rows.rated else None
        part.append(users, items, pl.Series(block["timestamp"]), ratings, block["line"])
    return part
