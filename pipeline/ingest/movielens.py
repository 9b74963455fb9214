"""Reader of the MovieLens archives, 100K to 32M: known by their members, every field checked, ratings in blocks."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl

from ..core.errors import DataError
from . import csv_files
from .archive import decode, member_names, member_source, read_member, readable
from .checks import BlockChecks, Check, Unit, refuse_duplicates
from .event_log import EventLog, Origin
from .fields import REMEDY, Field, typed
from .movielens_items import items, items_100k
from .movielens_versions import GENRES_100K, USERS, Version, version_of
from .params import Counts
from .raw import RawDataset
from .sources import Source, md5_file
from .tables import Layout

_BLOCK = 2**22
"""Bytes of a file of ratings in memory at a time."""


def read_movielens(archive: Path, expected: Counts | None = None) -> RawDataset[EventLog]:
    """Read and check an archive of MovieLens, whose members tell which it is.

    1M has ``movies.dat``, ``users.dat`` and ``ratings.dat``; 10M the same without users; 20M, 25M, 32M and latest have
    ``movies.csv`` and ``ratings.csv``; 100K has ``u.item`` and ``u.data``.

    Args:
        archive: the zip file; nothing of it is extracted to disk.
        expected: numbers that it must hold; None: not checked.

    Returns:
        All listed items, and a log of all ratings, in file order.

    Raises:
        DataError: anything is not as it must be; the message names file, line and column.
    """
    version = version_of(member_names(archive))
    with readable(archive):
        movies, place = _movies(archive, version)
        users = _users(archive, version)
        refuse_duplicates(movies, movies.columns[:1], place, f"keep one of the {version.unit}s", version.unit)
        has_flags = GENRES_100K[0] in movies.columns
        listed = items_100k(movies, place) if has_flags else items(movies, place, version.unit)
        ratings = member_source(archive, version.ratings, version.members)
        log = _ratings(ratings, version, listed["item_id"], users)
    if expected is not None:
        _compare(expected, log, archive)
    return RawDataset("movielens", md5_file(archive), listed, log)


def _movies(archive: Path, version: Version) -> tuple[pl.DataFrame, str]:
    if version.separators is None:
        source = member_source(archive, version.movies, version.members)
        table = pl.concat(_tables(source, version.movie), rechunk=True)
        return typed(table, version.movie, source.place), source.place
    return _read_whole(archive, version, version.movies, version.movie, version.separators[0])


def _users(archive: Path, version: Version) -> pl.Series | None:
    """Return the ids of the users, where the archive lists them."""
    if version.users is None:
        return None
    users, place = _read_whole(archive, version, version.users, USERS, "::")
    refuse_duplicates(users, ["UserID"], place, "keep one of the lines", "line")
    return users["UserID"]


def _read_whole(
    archive: Path, version: Version, name: str, fields: tuple[Field, ...], separator: str
) -> tuple[pl.DataFrame, str]:
    member = read_member(archive, name, version.members, version.encoding)
    lines = _lines(member.text, fields, separator, member.place)
    return typed(lines, fields, member.place, separator), member.place


def _lines(text: str, fields: tuple[Field, ...], separator: str, place: str) -> pl.Series:
    if not text.strip():
        raise DataError("file is empty", place, f"a line is {separator.join(field.name for field in fields)}")
    return pl.Series([text.removesuffix("\n")]).str.split("\n").explode()


def _line_blocks(source: Source, fields: tuple[Field, ...], separator: str) -> Iterator[pl.Series]:
    before = 0
    for block in source.line_blocks(_BLOCK):
        lines = _lines(decode(source.place, block, "utf-8", before), fields, separator, source.place)
        before += len(lines)
        yield lines
    if not before:
        _lines("", fields, separator, source.place)


def _tables(source: Source, fields: tuple[Field, ...]) -> Iterator[pl.DataFrame]:
    """Read a CSV file, a block at a time, that has the columns that these fields name."""
    empty = True
    for table in csv_files.blocks(source, Layout(",", size=_BLOCK, one_line=True)):
        for field in fields:
            if field.name not in table.columns:
                remedy = f"name the columns {','.join(field.name for field in fields)}"
                raise DataError(f"column {field.name} is missing", source.place, remedy)
        empty = False
        yield table
    if empty:
        raise DataError("table has no rows", source.place, REMEDY)


def _ratings(source: Source, version: Version, listed: pl.Series, users: pl.Series | None) -> EventLog:
    """Read ratings into a log, a block at a time; that a pair is there once, the log will check."""
    user, movie, rating, time = (field.name for field in version.rating)
    place, separator, unit = source.place, version.separators[1] if version.separators else "", version.unit
    origin = Origin(user, movie, unit)
    origin.add(place, 0)
    log, checks, before = EventLog(listed, origin), BlockChecks(), 0
    blocks = _line_blocks(source, version.rating, separator) if separator else _tables(source, version.rating)
    for block in blocks:
        with checks.block(np.arange(before, before + len(block))):
            table = typed(block, version.rating, place, separator, checks.refuse)
            if users is not None:
                known = table[user].is_in(users.implode())
                checks.refuse(_unlisted(~known, table[user], place, "users.dat", unit))
            movies = table[movie].cast(pl.String)
            codes = log.item_codes(movies)
            checks.refuse(_unlisted(codes >= len(listed), movies.alias(movie), place, version.movies, unit))
            log.append(table[user].cast(pl.String), codes, table[time], table[rating])
        before += len(block)
    checks.finish()
    return log


def _unlisted(bad: pl.Series, ids: pl.Series, place: str, file: str, unit: Unit) -> Check:
    return Check(bad, place, lambda row: f"{ids[row]} is not listed in {file}", REMEDY, ids.name, unit)


def _compare(expected: Counts, log: EventLog, archive: Path) -> None:
    found = {
        "interactions": len(log),
        "users": len(log.user_counts),
        "rated_items": int(log.item_seen.sum()),
        "items": len(log.item_seen),
    }
    wrong = [
        f"{number:,} {name} instead of {getattr(expected, name):,}"
        for name, number in found.items()
        if number != getattr(expected, name)
    ]
    if wrong:
        remedy = "use the official archive, or set ingest.expected to what yours holds, or to null"
        raise DataError("; ".join(wrong), str(archive), remedy)
