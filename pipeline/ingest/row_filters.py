"""Interactions that count: of a rating, of users and items with enough of them (k-core)."""

import numpy as np
from numpy.typing import NDArray

from ..core.errors import DataError
from .event_log import EventLog
from .params import RowParams


def filtered(log: EventLog, params: RowParams) -> tuple[EventLog, dict[str, int]]:
    """Return the interactions that count, and how many each param has removed.

    First those below `min_rating` go, then users and items in turn until nothing changes: what a user loses can take an
    item below its bound, and the other way round.

    Returns:
        The log, or a shorter one, where items keep the numbers of those that are listed; and of each param that is set,
        as `removed_<param>`, the rows that it has removed.

    Raises:
        DataError: a rating is missing, or no interaction is left.
    """
    removed: dict[str, int] = {}
    if not len(log):
        return log, removed
    users, items = np.ones(len(log.user_counts), np.bool_), np.ones(len(log.item_seen), np.bool_)
    if params.min_rating is not None:
        removed["removed_min_rating"] = _below(log, params.min_rating)
    bounds = {"user": params.min_user_interactions, "item": params.min_item_interactions}
    kept = {"user": users, "item": items}
    for name, bound in bounds.items():
        if bound is not None:
            removed[f"removed_min_{name}_interactions"] = 0
    changed = any(bound is not None for bound in bounds.values())
    while changed:
        changed = False
        for name, bound in bounds.items():
            if bound is None:
                continue
            counts = _counts(log, params.min_rating, kept, name)
            short = kept[name] & (counts < bound)
            removed[f"removed_min_{name}_interactions"] += int(counts[short].sum())
            changed |= bool(counts[short].any())
            kept[name] &= ~short
    if not any(removed.values()):
        return log, removed
    return _copied(log, params.min_rating, kept), removed


def _below(log: EventLog, rating: float) -> int:
    """Return the number of interactions below a rating."""
    if not log.rows.rated:
        place = "the interactions" if log.origin is None else log.origin.find(0)[0]
        remedy = "name its column (ingest.columns: {rating: …}), or set ingest.min_rating to null"
        raise DataError("there is no column of ratings, which ingest.min_rating needs", place, remedy)
    below = 0
    for block in log.blocks():
        missing = np.isnan(block["rating"])
        if missing.any() and log.origin is not None:
            place, row = log.origin.find(int(block["line"][missing.argmax()]))
            what = (
                f"a rating is missing (and {missing.sum() - 1:,} more near it), which ingest.min_rating needs"
            )
            remedy = "leave the row out (ingest.where: rating IS NOT NULL), or set ingest.min_rating to null"
            raise DataError(what, f"{place}, {log.origin.unit} {row + 1}", remedy)
        below += int((block["rating"] < rating).sum())
    return below


def _kept(
    block: NDArray[np.void], rating: float | None, kept: dict[str, NDArray[np.bool_]]
) -> NDArray[np.bool_]:
    rows = kept["user"][block["user"]] & kept["item"][block["item"]]
    return rows if rating is None else rows & (block["rating"] >= rating)


def _counts(
    log: EventLog, rating: float | None, kept: dict[str, NDArray[np.bool_]], name: str
) -> NDArray[np.int64]:
    """Return the interactions that are kept of each user, or of each item."""
    counts = np.zeros(len(kept[name]), np.int64)
    for block in log.blocks():
        counts += np.bincount(block[name][_kept(block, rating, kept)], minlength=len(counts))
    return counts


def _copied(log: EventLog, rating: float | None, kept: dict[str, NDArray[np.bool_]]) -> EventLog:
    """Return a log of the interactions that are kept, in their order."""
    copy = EventLog(log.listed, log.origin)
    for block in log.blocks():
        rows = block[_kept(block, rating, kept)]
        if len(rows):
            copy.append_rows(rows, log)
    if not len(copy):
        place = "the interactions" if log.origin is None else log.origin.find(0)[0]
        raise DataError(
            "no interaction is left", place, "lower ingest.min_rating and ingest.min_…_interactions"
        )
    return copy
