"""Reader of MovieLens-1M's layout: ``::``-separated Latin-1 files in a zip archive, every field checked."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from ..core.errors import DataError
from .archive import Member, read_members
from .checks import Check, quote, refuse, refuse_duplicates
from .params import Counts
from .raw import INTERACTIONS, ITEMS, RawDataset
from .titles import split_title

_SEPARATOR = "::"
_REMEDY = "correct the file, or fetch the archive again"
_LARGEST_ID = 2**31 - 1
_YEARS = range(1870, 2101)
_NO_GENRES = "(no genres listed)"


@dataclass(frozen=True)
class _Text:
    """A text column; ``allowed`` lists its values where they are few."""

    name: str
    allowed: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Integer:
    """A column of whole numbers from ``low`` to ``high``."""

    name: str
    low: int
    high: int
    remedy: str = _REMEDY


_USER = _Integer("UserID", 1, _LARGEST_ID)
_MOVIE = _Integer("MovieID", 1, _LARGEST_ID)
_FILES = {
    "movies.dat": (_MOVIE, _Text("Title"), _Text("Genres")),
    "users.dat": (
        _USER,
        _Text("Gender", ("F", "M")),
        _Integer("Age", 1, 150),
        _Integer("Occupation", 0, 99),
        _Text("Zip-code"),
    ),
    "ratings.dat": (
        _USER,
        _MOVIE,
        _Integer("Rating", 1, 5),
        _Integer("Timestamp", 1, 2**32 - 1, "write seconds since 1970 (UTC), not milliseconds, not dates"),
    ),
}


def read_movielens(archive: Path, expected: Counts | None = None) -> RawDataset[pl.DataFrame]:
    """Read and check an archive in MovieLens-1M's layout (``movies.dat``, ``users.dat``, ``ratings.dat``).

    Args:
        archive: the zip file; nothing of it is extracted to disk.
        expected: numbers that it must hold; None: not checked.

    Returns:
        All listed items and all ratings, in file order.

    Raises:
        DataError: anything is not as it must be; the message names file, line and column.
    """
    members = read_members(archive, tuple(_FILES))
    movies, users, ratings = (_parse(members[name], columns) for name, columns in _FILES.items())
    movies_place, users_place, ratings_place = (members[name].place for name in _FILES)
    del members  # the texts are large

    for table, keys, place in (
        (movies, ["MovieID"], movies_place),
        (users, ["UserID"], users_place),
        (ratings, ["UserID", "MovieID"], ratings_place),
    ):
        refuse_duplicates(table, keys, place, "keep one of the lines", "line")
    _refuse_unknown(ratings["UserID"], users["UserID"], ratings_place, "users.dat")
    _refuse_unknown(ratings["MovieID"], movies["MovieID"], ratings_place, "movies.dat")
    items = _items(movies, movies_place)
    if expected is not None:
        _compare(expected, items, ratings, archive)
    return RawDataset(
        "movielens",
        hashlib.md5(archive.read_bytes()).hexdigest(),
        items,
        ratings.rename(
            {"UserID": "user_id", "MovieID": "item_id", "Rating": "rating", "Timestamp": "timestamp"}
        ).cast(INTERACTIONS),
    )


def _parse(member: Member, columns: tuple[_Text | _Integer, ...]) -> pl.DataFrame:
    """Split a file into typed columns; row i of the result is line i + 1 of the file."""
    names = [column.name for column in columns]
    layout = f"a line is {_SEPARATOR.join(names)}"
    if not member.text.strip():
        raise DataError("file is empty", member.place, layout)
    lines = pl.Series([member.text.removesuffix("\n")]).str.split("\n").explode()
    found = lines.str.count_matches(_SEPARATOR, literal=True) + 1
    refuse(
        Check(
            found != len(columns),
            member.place,
            lambda row: f"{found[row]} instead of {len(columns)} columns: {quote(lines[row])}",
            layout,
            unit="line",
        )
    )
    fields = lines.str.splitn(_SEPARATOR, len(columns)).struct.rename_fields(names).struct.unnest()
    return fields.with_columns(_typed(fields[column.name], column, member.place) for column in columns)


def _typed(texts: pl.Series, column: _Text | _Integer, place: str) -> pl.Series:
    if isinstance(column, _Integer):
        values, remedy = texts.cast(pl.Int64, strict=False), column.remedy
        wanted = f"a whole number from {column.low} to {column.high}"
        bad = ~values.is_between(column.low, column.high).fill_null(False)
    elif column.allowed:
        values, remedy, wanted = texts, _REMEDY, f"one of {', '.join(column.allowed)}"
        bad = ~texts.is_in(column.allowed)
    else:
        return texts
    refuse(Check(bad, place, lambda row: f"{quote(texts[row])} is not {wanted}", remedy, column.name, "line"))
    return values


def _items(movies: pl.DataFrame, place: str) -> pl.DataFrame:
    """Turn listed movies into items: title in reading order, year, genres."""
    listed = movies["Title"]
    titles, years = zip(*(split_title(text) for text in listed), strict=True)
    title, year = pl.Series(titles, dtype=pl.String), pl.Series(years, dtype=pl.Int32)
    refuse(
        Check(title == "", place, lambda row: f"no title in {quote(listed[row])}", _REMEDY, "Title", "line")
    )
    refuse(
        Check(
            ~year.is_between(_YEARS.start, _YEARS.stop - 1).fill_null(True),
            place,
            lambda row: f"the year {year[row]} is not from {_YEARS.start} to {_YEARS.stop - 1}",
            _REMEDY,
            "Title",
            "line",
        )
    )
    unknown = movies["Genres"].is_in(["", _NO_GENRES])
    genres = movies["Genres"].str.split("|")
    refuse(
        Check(
            (genres.list.contains("") | (genres.list.n_unique() != genres.list.len())) & ~unknown,
            place,
            lambda row: f"a genre is empty or named twice: {quote(movies['Genres'][row])}",
            "separate genres by |",
            "Genres",
            "line",
        )
    )
    genres = pl.select(pl.when(unknown).then(pl.lit([], pl.List(pl.String))).otherwise(genres)).to_series()
    return pl.DataFrame(
        {"item_id": movies["MovieID"].cast(pl.String), "title": title, "year": year, "genres": genres}, ITEMS
    )


def _refuse_unknown(ids: pl.Series, known: pl.Series, place: str, file: str) -> None:
    refuse(
        Check(
            ~ids.is_in(known.implode()),
            place,
            lambda row: f"{ids[row]} is not listed in {file}",
            _REMEDY,
            ids.name,
            "line",
        )
    )


def _compare(expected: Counts, items: pl.DataFrame, ratings: pl.DataFrame, archive: Path) -> None:
    found = {
        "interactions": len(ratings),
        "users": ratings["UserID"].n_unique(),
        "rated_items": ratings["MovieID"].n_unique(),
        "items": len(items),
    }
    wrong = [
        f"{number:,} {name} instead of {getattr(expected, name):,}"
        for name, number in found.items()
        if number != getattr(expected, name)
    ]
    if wrong:
        remedy = "use the official archive, or set ingest.expected to what yours holds, or to null"
        raise DataError("; ".join(wrong), str(archive), remedy)
