"""Reader of a data set of one's own: a table of interactions and, optionally, a table of items."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import polars as pl

from ..core.errors import DataError, quote
from ..data.where import Where
from .checks import Checks, Origin
from .columns import find_columns
from .event_log import EventLog
from .item_files import read_items
from .params import TableParams
from .raw import ITEMS, RawDataset
from .row_filters import filtered
from .sources import Layout, file_source, md5_file
from .table_files import IDS, as_ids, as_text, read_blocks
from .timestamps import FinerFound, Timestamps

_NEEDED = ("user", "item", "timestamp")
_BLOCK = 2**22
"""Bytes of a text file in memory at a time. Other tables have larger blocks: their rows are longer and fewer."""

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
    events = _read_events(paths, listed["item_id"], params)
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


def _read_events(paths: Sequence[Path], listed: pl.Series, params: TableParams) -> "_Events":
    """Read and check interactions; `OrderedEvents` checks repeats.

    Args:
        paths: the files of the table, whose rows follow each other. The columns of user, item, timestamp and rating
            are read; a table may lack the rating.
        listed: the ids of the listed items, each once. Other items are numbered after them.
        params: how the files are written.

    Raises:
        DataError: a file or a value is malformed; the message names file, row and column.
    """
    layout = Layout(params.separator, not params.by_place, _BLOCK, one_line=True)

    def blocks(path: Path) -> Iterator[pl.DataFrame]:
        return read_blocks(file_source(path, params.encoding), layout, may_be_empty=len(paths) > 1)

    where = None
    if params.where is not None:
        every = (block for path in paths for block in blocks(path))
        where = Where(params.where, every, "params.yaml, key ingest.where")
    for fine in (False, True):
        with suppress(FinerFound):
            events = _Events(listed, params, where, fine)
            for path in paths:
                events.read(str(path), blocks(path))
            events.finish(str(paths[0]))
            return events
    raise AssertionError("timestamps are not finer than finest")


class _Events:
    """The interactions of all files.

    Attributes:
        log: the interactions.
        columns: the name of each role's column in the first file.
    """

    def __init__(self, listed: pl.Series, params: TableParams, where: Where | None, fine: bool) -> None:
        self._given, self._where, self._times = params.given, where, Timestamps(fine, params.time_format)
        self._origin = Origin()
        self.log, self._checks = EventLog(listed, self._origin), Checks(self._origin)
        self.columns: dict[str, str] = {}
        self._count = 0
        """Rows so far, with those that do not count."""

    def read(self, place: str, blocks: Iterator[pl.DataFrame]) -> None:
        """Append the rows of a file."""
        self._origin.add(place, self._count)
        columns: dict[str, str] = {}
        for table in blocks:
            columns = columns or self._find_columns(table.columns, place)
            rows = np.arange(self._count, self._count + len(table))
            self._count += len(table)
            if self._where is not None:
                kept = self._where.keeps(table)
                table, rows = table.filter(kept), rows[kept.to_numpy()]
            if len(table):
                with self._checks.block(rows):
                    self._append(table, columns, place, rows)

    def finish(self, place: str) -> None:
        """Raise ``DataError`` for the first bad row, or if there is no row."""
        self._checks.finish()
        if not self._count:
            raise DataError("the tables have no rows", place, "add rows")
        if not len(self.log):
            raise DataError("ingest.where keeps none of the rows", place, "correct it")

    @property
    def removed(self) -> int | None:
        """The number of rows that `ingest.where` left out; None: it is not set."""
        return None if self._where is None else self._count - len(self.log)

    def _find_columns(self, names: list[str], place: str) -> dict[str, str]:
        """Return the columns of a file; raise ``DataError`` if some files have a rating and others have none."""
        columns = find_columns(names, place, _NEEDED, ("rating",), self._given)
        if not self.columns:
            self.columns = columns
            self._origin.user, self._origin.item = columns["user"], columns["item"]
        if self.columns.keys() != columns.keys():
            what = "some files of the table have a rating column, and others have none"
            remedy = "write all files with the same columns, or leave the rating out: ingest.columns: {rating: null}"
            raise DataError(what, place, remedy)
        return columns

    def _append(self, table: pl.DataFrame, columns: dict[str, str], place: str, rows: np.ndarray) -> None:
        # A block of JSON lines may lack a column.
        missing = pl.repeat(None, len(table), eager=True)
        values = {role: table.get_column(name, default=missing.alias(name)) for role, name in columns.items()}

        def ids(role: str) -> pl.Series:
            without = f"{IDS}, or leave such rows out: ingest.where: '\"{columns[role]}\" IS NOT NULL'"
            return as_ids(values[role], place, self._checks, without)

        users, items = ids("user"), ids("item")
        timestamps = self._times.read(values["timestamp"], place, self._checks)
        ratings = _ratings(values["rating"], place, self._checks) if "rating" in values else None
        self.log.append(users, self.log.item_codes(items), timestamps, ratings, rows)


def _ratings(values: pl.Series, place: str, checks: Checks) -> pl.Series:
    """Return ratings as numbers; a missing one is null."""
    texts, remedy = as_text(values), "write numbers, or leave the column out: ingest.columns: {rating: null}"
    if not (values.dtype.is_numeric() or values.dtype in (pl.String, pl.Null)):
        raise DataError(f"type is {values.dtype}", f"{place}, column {values.name}", remedy)
    numbers = (values if values.dtype.is_numeric() else texts).cast(pl.Float64, strict=False).fill_nan(None)
    bad = (numbers.is_null() & texts.is_not_null()) | numbers.is_infinite().fill_null(False)
    checks.refuse(bad, lambda row: f"{quote(values[row])} is not a rating", remedy, values.name)
    return numbers
