"""Reader of tables of interactions, a block at a time; messages are those of the whole table."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import polars as pl

from ..core.errors import DataError, quote
from ..data.where import Where
from .checks import Checks, Origin
from .columns import find_columns, of_table
from .event_log import EventLog
from .params import TableParams
from .sources import Layout, file_source
from .table_files import as_ids, as_text, read_blocks
from .timestamps import FinerFound, Timestamps

_NEEDED = ("user", "item", "timestamp")

_BLOCK = 2**22
"""Bytes of a text file in memory at a time. Other tables have larger blocks: their rows are longer and fewer."""


def read_events(paths: Sequence[Path], listed: pl.Series, params: TableParams) -> "Events":
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
            events = Events(listed, params, where, fine)
            for path in paths:
                events.read(str(path), blocks(path))
            events.finish(str(paths[0]))
            return events
    raise AssertionError("timestamps are not finer than finest")


class Events:
    """The interactions of all files.

    Attributes:
        log: the interactions.
        columns: the name of each role's column in the first file.
    """

    def __init__(self, listed: pl.Series, params: TableParams, where: Where | None, fine: bool) -> None:
        self._given, self._where, self._times = params.given, where, Timestamps(fine)
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
            raise DataError("tables have no rows", place, "use some that have")
        if not len(self.log):
            raise DataError("ingest.where keeps none of the rows", place, "correct it")

    @property
    def removed(self) -> int | None:
        """The number of rows that `ingest.where` left out; None: it is not set."""
        return None if self._where is None else self._count - len(self.log)

    def _find_columns(self, names: list[str], place: str) -> dict[str, str]:
        """Return the columns of a file; raise ``DataError`` if some files have a rating and others have none."""
        given = of_table(names, (*_NEEDED, "rating"), self._given)
        columns = find_columns(names, place, _NEEDED, ("rating",), given)
        if not self.columns:
            self.columns = columns
            self._origin.user, self._origin.item = columns["user"], columns["item"]
        if self.columns.keys() != columns.keys():
            what = "has a rating, which files before it lack, or lacks the rating that they have"
            remedy = "write all files with the same columns, or leave the rating out: ingest.columns: {rating: null}"
            raise DataError(what, place, remedy)
        return columns

    def _append(self, table: pl.DataFrame, columns: dict[str, str], place: str, rows: np.ndarray) -> None:
        # A block of JSON lines may lack a column.
        missing = pl.repeat(None, len(table), eager=True)
        values = {role: table.get_column(name, default=missing.alias(name)) for role, name in columns.items()}
        users, items = (as_ids(values[role], place, self._checks) for role in ("user", "item"))
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
