"""Reader of a data set of one's own: a table of interactions and, optionally, a table of items."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import polars as pl

from ..core.errors import DataError
from .checks import quote
from .event_files import read_events
from .event_log import EventLog
from .item_files import read_items
from .params import TableParams
from .raw import ITEMS, RawDataset
from .row_filters import filtered
from .sources import md5_file

Paths = Path | Sequence[Path]
"""The file of a table, or several whose rows follow each other."""


def read_files(
    interactions: Paths, items: Paths | None, params: TableParams | None = None
) -> RawDataset[EventLog]:
    """Read and check the tables of a data set (see `read_blocks`).

    Interactions have columns of user, item and timestamp, and maybe of the rating (see `find_columns`); only
    `params.where` reads others. A timestamp, of any unit, orders the interactions of a user; equal timestamps keep the
    order of their rows.

    Items have a column of ids, and optionally `title`, `year`, `genres` (a list, or text separated by `|`) and other
    texts. A missing text is null. Items that only interactions name are added without text.

    `params` are the layout of the files, and which rows count; None: the defaults.

    Raises:
        DataError: a file or a value is malformed; the message names file, row and column.
    """
    params = params or TableParams()
    paths, listing = ([table] if isinstance(table, Path) else table or [] for table in (interactions, items))
    listed, columns = read_items(listing, params) if listing else (pl.DataFrame(schema=ITEMS), {})
    events = read_events(paths, listed["item_id"], params)
    named = params.given.get("item")
    if isinstance(named, str) and named not in (events.columns["item"], columns.get("item")):
        what = f"no table has a column {quote(named)}, which ingest.columns names"
        raise DataError(what, ", ".join(map(str, [paths[0], *listing[:1]])), "correct it")
    notes = [f"interactions: {_described(events.columns, paths)}"]
    if listing:
        notes.append(f"items: {_described(columns, listing)}; texts: {', '.join(listed.columns[1:])}")
    log, removed = filtered(events.log, params)
    if events.removed is not None:
        removed = {"removed_where": events.removed, **removed}
    unlisted = log.item_ids(np.arange(len(listed), len(log.item_seen)))
    if len(unlisted):
        if listing and not log.item_seen[: len(listed)].any():
            what = (
                f"lists none of the {len(unlisted):,} items of the interactions: {quote(listed['item_id'][0])} is an id"
                f" here, {quote(unlisted[0])} there (column {events.columns['item']})"
            )
            remedy = "write the ids in both tables the same way, or set ingest.items to null"
            raise DataError(what, str(listing[0]), remedy)
        notes.append(_note(unlisted, listing))
        added = pl.DataFrame({"item_id": unlisted}).with_columns(genres=pl.lit([], ITEMS["genres"]))
        listed = pl.concat([listed, added], how="diagonal")
    tables = {"interactions": paths, "items": listing}
    checksums = {name: md5_file(*files) for name, files in tables.items() if files}
    return RawDataset("files", None, listed, log, checksums, tuple(notes), removed)


def _note(unlisted: pl.Series, listing: Sequence[Path]) -> str:
    """Say how many items have no text because no table lists them."""
    if listing:
        such = f"{len(unlisted):,} items, such as {quote(unlisted[0])}"
        return f"{such}, are not listed in {listing[0]}: added without text"
    return (
        f"no table of items: the {len(unlisted):,} items of the interactions have no text but that of ingest.item_text"
        " ({extra_text}); without any, their vectors are equal, and only the order of interactions is learned"
    )


def _described(columns: Mapping[str, str], paths: Sequence[Path]) -> str:
    """Return the name of each role's column, and the files."""
    files = str(paths[0]) if len(paths) == 1 else f"{len(paths)} files from {paths[0]} to {paths[-1].name}"
    return f"{', '.join(f'{role} = {name}' for role, name in columns.items())}, of {files}"
