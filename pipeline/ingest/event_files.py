"""Reader of a table of interactions, a block at a time: what is wrong is said as if it had been read whole."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from ..core.errors import DataError
from ..data.where import Where
from .checks import BlockChecks, Check, Refuse, quote
from .columns import find_columns, of_table
from .event_log import EventLog, Origin
from .params import TableParams
from .sources import file_source
from .table_files import as_ids, as_text, read_blocks
from .tables import Layout
from .timestamps import FinerFound, Timestamps

_NEEDED = ("user", "item", "timestamp")

_BLOCK = 2**22
"""Bytes of a text file that are parsed at a time, fewer than of other tables: its rows are short, and many."""


@dataclass(frozen=True)
class Events:
    """What was read.

    Attributes:
        log: the interactions.
        columns: names of the columns by their role, of the first file.
        removed: rows that `ingest.where` has left out; None: it is not set.
    """

    log: EventLog
    columns: dict[str, str]
    removed: int | None


def read_events(paths: Sequence[Path], listed: pl.Series, params: TableParams) -> Events:
    """Read and check interactions (see `read_blocks`); that a pair is there once, the log will check.

    Args:
        paths: of the files of the table, whose rows follow each other. Columns of user, item and timestamp are read,
            and of the rating where there is one; no others.
        listed: ids of the items, each once; those of others are numbered after them.
        params: how the files are written.

    Raises:
        DataError: anything is not as it must be; the message names file, row and column.
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
            return _Reading(listed, params, where, fine).read({path: blocks(path) for path in paths})
    raise AssertionError("timestamps are not finer than finest")


class _Reading:
    """One reading of all files."""

    def __init__(self, listed: pl.Series, params: TableParams, where: Where | None, fine: bool) -> None:
        self._params, self._where = params, where
        self._origin = Origin()
        self._log, self._checks = EventLog(listed, self._origin), BlockChecks()
        self._times = Timestamps(fine)
        self._columns: dict[str, str] = {}
        self._before = 0
        """Rows of all files so far."""

    def read(self, tables: Mapping[Path, Iterator[pl.DataFrame]]) -> Events:
        for path, blocks in tables.items():
            self._origin.add(str(path), self._before)
            self._file(blocks, str(path))
        self._checks.finish()
        place = str(next(iter(tables)))
        if not self._before:
            raise DataError("tables have no rows", place, "use some that have")
        if not len(self._log):
            raise DataError("ingest.where keeps none of the rows", place, "correct it")
        return Events(self._log, self._columns, self._before - len(self._log) if self._where else None)

    def _file(self, blocks: Iterator[pl.DataFrame], place: str) -> None:
        columns: dict[str, str] | None = None
        start = self._before
        for table in blocks:
            if columns is None:
                given = of_table(table.columns, (*_NEEDED, "rating"), self._params.given)
                columns = find_columns(table.columns, place, _NEEDED, ("rating",), given)
                self._take(columns, place)
            lines = np.arange(self._before, self._before + len(table))
            self._before += len(table)
            if self._where is not None:
                kept = self._where.keeps(table)
                table, lines = table.filter(kept), lines[kept.to_numpy()]
            if len(table):
                with self._checks.block(lines - start):
                    self._rows(_with(table, columns.values()), columns, place, lines)

    def _take(self, columns: dict[str, str], place: str) -> None:
        """Note which columns are read; every file must have a rating, or none."""
        if not self._columns:
            self._columns = columns
            self._origin.user, self._origin.item = columns["user"], columns["item"]
        if self._columns.keys() != columns.keys():
            what = "has a rating, which files before it lack, or lacks the rating that they have"
            remedy = "write all files with the same columns, or leave the rating out: ingest.columns: {rating: null}"
            raise DataError(what, place, remedy)

    def _rows(self, table: pl.DataFrame, columns: dict[str, str], place: str, lines: np.ndarray) -> None:
        refuse = self._checks.refuse
        users = as_ids(table[columns["user"]], place, refuse)
        items = as_ids(table[columns["item"]], place, refuse)
        timestamps = self._times.read(table[columns["timestamp"]], place, refuse)
        ratings = _ratings(table[columns["rating"]], place, refuse) if "rating" in columns else None
        self._log.append(users, self._log.item_codes(items), timestamps, ratings, lines)


def _with(table: pl.DataFrame, names: Iterable[str]) -> pl.DataFrame:
    """Return columns of a block; one that no line of it has, as of JSON lines, is null."""
    return table.select(pl.col(name) if name in table.columns else pl.lit(None).alias(name) for name in names)


def _ratings(values: pl.Series, place: str, refuse: Refuse) -> pl.Series:
    """Return ratings as numbers; one may be missing."""
    texts = as_text(values) if values.dtype in (pl.String, pl.Null) else values
    remedy = "write numbers, or leave the column out: ingest.columns: {rating: null}"
    if not (values.dtype.is_numeric() or values.dtype in (pl.String, pl.Null)):
        raise DataError(f"type is {values.dtype}", f"{place}, column {values.name}", remedy)
    numbers = texts.cast(pl.Float64, strict=False).fill_nan(None)
    bad = (numbers.is_null() & as_text(values).is_not_null()) | numbers.is_infinite().fill_null(False)
    refuse(Check(bad, place, lambda row: f"{quote(values[row])} is not a rating", remedy, values.name))
    return numbers
