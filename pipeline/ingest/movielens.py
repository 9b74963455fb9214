"""Reader of the MovieLens archives, 100K to 32M. Every value is checked; ratings are read in blocks."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl

from ..core.errors import DataError
from . import csv_files
from .archive import Archive, decode, readable
from .checks import Checks, Origin, refuse_duplicates
from .event_log import EventLog
from .movielens_items import items
from .movielens_versions import REMEDY, File, Version, version_of
from .params import Counts
from .raw import RawDataset
from .sources import Layout, Source, md5_file

_BLOCK = 2**22
"""Bytes of a file in memory at a time."""


def read_movielens(archive: Path, expected: Counts | None = None) -> RawDataset[EventLog]:
    """Read and check an archive of MovieLens; the names of its files tell the version.

    1M has ``movies.dat``, ``users.dat`` and ``ratings.dat``; 10M the same without users; 20M, 25M, 32M and latest have
    ``movies.csv`` and ``ratings.csv``; 100K has ``u.item`` and ``u.data``.

    Args:
        archive: the zip file; nothing is extracted.
        expected: numbers that it must hold; None: not checked.

    Returns:
        All listed items, and a log of all ratings, in file order.

    Raises:
        DataError: the archive is damaged, or a value is malformed; the message names file, line and column.
    """
    with readable(archive):
        opened = Archive(archive)
        version = version_of(opened.names)
        sources = opened.sources([file.name for file in version.files])
        movies = _read_whole(sources[0], version.movies)
        users = _read_whole(sources[1], version.users).to_series() if version.users else None
        listed = items(movies, Checks(Origin(sources[0].place, unit=version.movies.unit)))
        log = _read_ratings(sources[-1], version, listed["item_id"], users)
    if expected is not None:
        _compare(expected, log, archive)
    return RawDataset("movielens", md5_file(archive), listed, log)


def _read_whole(source: Source, file: File) -> pl.DataFrame:
    """Read a file into memory. Its first column is an id, each once."""
    whole = pl.concat(_blocks(source, file), rechunk=True)
    table = _typed(whole, file, Checks(Origin(source.place, unit=file.unit)))
    refuse_duplicates(table.to_series(), source.place, f"keep one of the {file.unit}s", file.unit)
    return table


def _blocks(source: Source, file: File) -> Iterator[pl.DataFrame]:
    """Return the blocks of a file: a column of lines, or the text columns of a CSV file."""
    return _lines(source, file) if file.separator else _csv_blocks(source, file)


def _lines(source: Source, file: File) -> Iterator[pl.DataFrame]:
    before = 0
    for block in source.line_blocks(_BLOCK):
        text = decode(source.place, block, file.encoding, before)
        if text.strip():
            lines = pl.Series("line", [text.removesuffix("\n")]).str.split("\n").explode().to_frame()
            before += len(lines)
            yield lines
    if not before:
        names = str(file.separator).join(field.name for field in file.fields)
        raise DataError("file is empty", source.place, f"a line is {names}")


def _csv_blocks(source: Source, file: File) -> Iterator[pl.DataFrame]:
    names, empty = [field.name for field in file.fields], True
    for table in csv_files.blocks(source, Layout(",", size=_BLOCK, one_line=True)):
        if missing := [name for name in names if name not in table.columns]:
            remedy = f"name the columns {','.join(names)}"
            raise DataError(f"column {missing[0]} is missing", source.place, remedy)
        empty = False
        yield table
    if empty:
        raise DataError("table has no rows", source.place, REMEDY)


def _typed(block: pl.DataFrame, file: File, checks: Checks) -> pl.DataFrame:
    """Return a block as typed columns."""
    if file.separator:
        names = [field.name for field in file.fields]
        block = csv_files.split_lines(block["line"], file.separator, names, checks)
    return pl.DataFrame([field.typed(block[field.name].fill_null(""), checks) for field in file.fields])


def _read_ratings(source: Source, version: Version, listed: pl.Series, users: pl.Series | None) -> EventLog:
    """Read ratings into a log, a block at a time; `OrderedEvents` checks that a user rates a movie once."""
    file = version.ratings
    user, movie, rating, time = (field.name for field in file.fields)
    origin = Origin(source.place, user, movie, file.unit)
    log, checks, before = EventLog(listed, origin), Checks(origin), 0
    for block in _blocks(source, file):
        with checks.block(np.arange(before, before + len(block))):
            table = _typed(block, file, checks)
            if users is not None:
                _refuse_unlisted(table[user], ~table[user].is_in(users.implode()), "users.dat", checks)
            codes = log.item_codes(table[movie].cast(pl.String))
            _refuse_unlisted(table[movie], codes >= len(listed), version.movies.name, checks)
            log.append(table[user].cast(pl.String), codes, table[time], table[rating])
        before += len(block)
    checks.finish()
    return log


def _refuse_unlisted(ids: pl.Series, bad: pl.Series, file: str, checks: Checks) -> None:
    checks.refuse(bad, lambda row: f"{ids[row]} is not listed in {file}", REMEDY, ids.name)


def _compare(expected: Counts, log: EventLog, archive: Path) -> None:
    found = {
        "interactions": len(log),
        "users": len(log.user_counts),
        "rated_items": int(log.item_seen.sum()),
        "items": len(log.item_seen),
    }
    pairs = [(name, found[name], wanted) for name, wanted in expected]
    wrong = [f"{count:,} {name} instead of {wanted:,}" for name, count, wanted in pairs if count != wanted]
    if wrong:
        remedy = "use the official archive, or set ingest.expected to what yours holds, or to null"
        raise DataError("; ".join(wrong), str(archive), remedy)
