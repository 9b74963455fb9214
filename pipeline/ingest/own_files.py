"""Reader of a data set of one's own: a table of interactions, and where there is one, a table of items."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from ..core.errors import DataError
from .checks import quote
from .columns import described
from .event_files import Events, read_events
from .event_log import EventLog
from .item_files import added, no_items, read_items
from .params import TableParams
from .raw import RawDataset
from .row_filters import filtered
from .sources import md5_of

Paths = Path | Sequence[Path]
"""Of a table: a file, or several whose rows follow each other."""


def read_files(
    interactions: Paths, items: Paths | None, params: TableParams | None = None
) -> RawDataset[EventLog]:
    """Read and check the tables of a data set (see `read_blocks`).

    Interactions have columns of user, item and timestamp, and maybe of the rating (see `find_columns`); others are read
    by `params.where` alone. A timestamp serves to order a user's interactions, whatever its unit; those that are equal
    keep the order of their rows. Each user has each item once, because what is in a user's history is never recommended
    to him.

    Items have a column of ids, and, where they like, `title`, `year`, `genres` (a list, or text separated by `|`) and
    any other texts. A missing text is null, the title's too. Items that only interactions name are added, without text.

    Args:
        interactions: files of the table of interactions.
        items: files of the table of items; None: there is none.
        params: how they are written, and which rows count; by default, as the reader finds out, and all.

    Raises:
        DataError: anything is not as it must be; the message names file, row and column.
    """
    params = params or TableParams()
    paths, listing = _paths(interactions), [] if items is None else _paths(items)
    listed, item_columns = read_items(listing, params) if listing else (no_items(), {})
    events = read_events(paths, listed["item_id"], params)
    named = params.given.get("item")
    if isinstance(named, str) and named not in (events.columns["item"], item_columns.get("item")):
        what = f"no table has a column {quote(named)}, which ingest.columns names"
        raise DataError(what, ", ".join(map(str, [paths[0], *listing[:1]])), "correct it")
    notes = [f"interactions: {described(events.columns)}, of {_named(paths)}"]
    if listing:
        texts = ", ".join(listed.columns[1:])
        notes.append(f"items: {described(item_columns)}, of {_named(listing)}; texts: {texts}")
    log, removed = filtered(events.log, params)
    if events.removed is not None:
        removed = {"removed_where": events.removed, **removed}
    unlisted = log.item_ids(np.arange(len(listed), len(log.item_seen)))
    if len(unlisted):
        notes.append(_unlisted(unlisted, listed, log, events, listing))
    checksums = {"interactions": md5_of(paths)} | ({"items": md5_of(listing)} if listing else {})
    return RawDataset("files", None, added(listed, unlisted), log, checksums, tuple(notes), removed)


def _unlisted(
    ids: pl.Series, listed: pl.DataFrame, log: EventLog, events: Events, listing: Sequence[Path]
) -> str:
    """Say how many items have no text because no table lists them.

    Raises:
        DataError: there is a table, and it lists none of the items of the interactions.
    """
    if not listing:
        return (
            f"no table of items: the {len(ids):,} items of the interactions have no text but that of ingest.item_text"
            " ({extra_text}); without any, their vectors are equal, and only the order of interactions is learned"
        )
    if not log.item_seen[: len(listed)].any():
        what = (
            f"lists none of the {len(ids):,} items of the interactions: {quote(listed['item_id'][0])} is an id here,"
            f" {quote(ids[0])} there (column {events.columns['item']})"
        )
        remedy = "write the ids in both tables the same way, or set ingest.items to null"
        raise DataError(what, str(listing[0]), remedy)
    return f"{len(ids):,} items, such as {quote(ids[0])}, are not listed in {listing[0]}: added without text"


def _paths(table: Paths) -> Sequence[Path]:
    return [table] if isinstance(table, Path) else table


def _named(paths: Sequence[Path]) -> str:
    return str(paths[0]) if len(paths) == 1 else f"{len(paths)} files from {paths[0]} to {paths[-1].name}"
