"""Reader of the MovieLens archives, 100K to 32M. Every value is checked; ratings are read in blocks."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from ..core.errors import DataError, quote
from .archive import open_archive
from .checks import Checks, Unit
from .event_log import ITEMS, EventLog, RawDataset
from .params import Counts
from .sources import Layout, Plain, Source, md5_file
from .table_files import read_blocks, unescaped

GENRES_100K = (
    *("unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama"),
    *("Fantasy", "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western"),
)
"""The flags of `u.item`, in their order (`u.genre`)."""

_REMEDY = "correct the file, or fetch the archive again"
_BLOCK = 2**22  # bytes of a file in memory at a time
_NO_GENRES = "(no genres listed)"
_ARTICLES = (
    "The|A|An"  # English
    "|La|Le|Les|L'|Un|Une"  # French
    "|Il|Lo|I|Gli|Uno|Una"  # Italian
    "|Der|Die|Das|Ein|Eine"  # German
    "|El|Los|Las"  # Spanish
    "|O|Os|As"  # Portuguese
    "|Den|Det|De|Het|En"  # Scandinavian, Dutch
)
_MOVED_ARTICLE = re.compile(rf"(?P<rest>.*\S),\s+(?P<article>{_ARTICLES})")
_YEAR = re.compile(r"(?P<title>.*?)\s*\((?P<year>\d{4})\)\s*", re.DOTALL)
_ALTERNATIVE = re.compile(r"\(([^()]*)\)")


@dataclass(frozen=True)
class Field:
    """A column of text; with `step`, of numbers from `low` to `high` that are multiples of `step`.

    With `allowed`, no other texts may occur. `remedy` says what to do about another value.
    """

    name: str
    allowed: tuple[str, ...] = ()
    low: float = 1
    high: float = 2**31 - 1
    step: float = 0
    remedy: str = _REMEDY

    def typed(self, texts: pl.Series, checks: Checks) -> pl.Series:
        """Return a column as text, int64 (step 1) or float64; raise ``DataError`` for another value."""
        if self.step:
            values = texts.cast(pl.Int64 if self.step == 1 else pl.Float64, strict=False)
            good = values.is_between(self.low, self.high) & (values % self.step == 0)
            kind = "a whole number" if self.step == 1 else f"a multiple of {self.step}"
            wanted = f"{kind} from {self.low} to {self.high}"
        elif self.allowed:
            values, good, wanted = texts, texts.is_in(self.allowed), f"one of {', '.join(self.allowed)}"
        else:
            return texts
        checks.refuse_values(~good.fill_null(False), texts, f"is not {wanted}", self.remedy)
        return values


@dataclass(frozen=True)
class File:
    """A file of an archive; without a separator of the columns, it is CSV with a line of column names."""

    name: str
    fields: tuple[Field, ...]
    separator: str | None = "::"
    encoding: Plain = "utf-8"

    @property
    def unit(self) -> Unit:
        """The name of a row in messages."""
        return "line" if self.separator else "row"


def _ratings(name: str, columns: str, step: float, separator: str | None = "::") -> File:
    user, movie, rating, time = columns.split(",")
    seconds = "write seconds since 1970 (UTC), not milliseconds, not dates"
    stars = Field(rating, low=step, high=5, step=step)
    times = Field(time, high=2**32 - 1, step=1, remedy=seconds)
    return File(name, (Field(user, step=1), Field(movie, step=1), stars, times), separator)


_MOVIES = (Field("MovieID", step=1), Field("Title"), Field("Genres"))
_USERS = (
    *(Field("UserID", step=1), Field("Gender", ("F", "M")), Field("Age", high=150, step=1)),
    *(Field("Occupation", low=0, high=99, step=1), Field("Zip-code")),
)
_ITEMS_100K = (
    *(Field("movie id", step=1), Field("movie title"), Field("release date"), Field("video release date")),
    *(Field("IMDb URL"), *(Field(genre, ("0", "1")) for genre in GENRES_100K)),
)
_COLUMNS = "UserID,MovieID,Rating,Timestamp"
# The first file of a version lists the movies, the last the ratings; a file between lists the users.
_VERSIONS = (
    (  # 1M
        File("movies.dat", _MOVIES, encoding="latin-1"),
        File("users.dat", _USERS, encoding="latin-1"),
        _ratings("ratings.dat", _COLUMNS, 1),
    ),
    (File("movies.dat", _MOVIES), _ratings("ratings.dat", _COLUMNS, 0.5)),  # 10M
    (  # 20M and later
        File("movies.csv", (Field("movieId", step=1), Field("title"), Field("genres")), None),
        _ratings("ratings.csv", "userId,movieId,rating,timestamp", 0.5, None),
    ),
    (  # 100K
        File("u.item", _ITEMS_100K, "|", "latin-1"),
        _ratings("u.data", "user id,item id,rating,timestamp", 1, "\t"),
    ),
)


def read_movielens(archive: Path, expected: Counts | None = None) -> RawDataset:
    """Read and check an archive of MovieLens; the names of its files tell the version.

    1M has ``movies.dat``, ``users.dat`` and ``ratings.dat``; 10M the same without users; 20M, 25M, 32M and latest have
    ``movies.csv`` and ``ratings.csv``; 100K has ``u.item`` and ``u.data``.

    The archive must hold the `expected` numbers; None: not checked. Nothing is extracted. Raises ``DataError``, with
    file, line and column, if the archive is damaged or a value is malformed.
    """
    with open_archive(archive) as opened:
        # The version that lacks the smallest share of its files.
        version = min(_VERSIONS, key=lambda files: sum(file.name not in opened.names for file in files) / len(files))
        sources = opened.sources([file.name for file in version])
        lists = [_read_whole(*pair) for pair in zip(sources[:-1], version[:-1], strict=True)]
        items = _items(lists[0], Checks(sources[0].place, version[0].unit))
        log = _read_ratings(sources[-1], version, [table.to_series() for table in lists])
    found = {"interactions": len(log), "users": len(log.user_counts), "items": len(log.item_seen)}
    found["rated_items"] = int(log.item_seen.sum())
    pairs = [(name, found[name], wanted) for name, wanted in expected or ()]
    wrong = [f"{count:,} {name} instead of {wanted:,}" for name, count, wanted in pairs if count != wanted]
    if wrong:
        remedy = "use the official archive, or set ingest.expected to what yours holds, or to null"
        raise DataError("; ".join(wrong), str(archive), remedy)
    return RawDataset("movielens", md5_file(archive), items, log)


def _blocks(source: Source, file: File) -> Iterator[pl.DataFrame]:
    """Read the text columns of a file."""
    layout = Layout(",", size=_BLOCK, one_line=True)
    names = tuple(field.name for field in file.fields)
    if file.separator:
        layout = Layout(file.separator, names, size=_BLOCK, plain=file.encoding)
    for block in read_blocks(source, layout):
        if missing := [name for name in names if name not in block.columns]:
            remedy = f"name the columns {','.join(names)}"
            raise DataError(f"column {missing[0]} is missing", source.place, remedy)
        yield block.select(pl.col(names).fill_null(""))


def _typed(block: pl.DataFrame, file: File, checks: Checks) -> pl.DataFrame:
    return pl.DataFrame([field.typed(block[field.name], checks) for field in file.fields])


def _read_whole(source: Source, file: File) -> pl.DataFrame:
    """Read a file into memory. Its first column holds distinct ids."""
    checks = Checks(source.place, file.unit)
    table = _typed(pl.concat(_blocks(source, file), rechunk=True), file, checks)
    checks.refuse_duplicates(table.to_series(), f"keep one of the {file.unit}s")
    return table


def _read_ratings(source: Source, version: Sequence[File], listed: Sequence[pl.Series]) -> EventLog:
    """Read ratings into a log. `listed` are the ids of the movies and, if the version lists them, of the users."""
    *lists, file = version
    user, movie, rating, time = (field.name for field in file.fields)
    checks = Checks(source.place, file.unit)
    checks.user, checks.item = user, movie
    log, before = EventLog(listed[0].cast(pl.String), checks), 0
    for block in _blocks(source, file):
        checks.rows = np.arange(before, before + len(block))
        table = _typed(block, file, checks)
        for name, ids, of in zip((movie, user), listed, lists, strict=False):
            checks.refuse_values(~table[name].is_in(ids.implode()), table[name], f"is not listed in {of.name}", _REMEDY)
        log.append(table[user].cast(pl.String), table[movie].cast(pl.String), table[time], table[rating])
        before += len(block)
    return log


def _items(movies: pl.DataFrame, checks: Checks) -> pl.DataFrame:
    """Turn movies of id, title and genres (`Drama|Romance`) into items, and check titles, years and genres."""
    if GENRES_100K[0] not in movies.columns:
        ids, listed, named = movies.get_columns()
        title, year = _titles(listed, checks)
        genres = _genres(named, checks)
    else:  # flags instead of genres, and marks after the year
        ids, listed = movies["movie id"], movies["movie title"]
        title, year = _titles(listed.str.replace(r"(\(\d{4}\)) \((V|TV)\)\s*$", "${1}"), checks)
        year = year.fill_null(movies["release date"].str.extract(r"-(\d{4})$").cast(pl.Int32))
        flags = [pl.when(pl.col(genre) == "1").then(pl.lit(genre)) for genre in GENRES_100K[1:]]
        genres = movies.select(pl.concat_list(flags).list.drop_nulls()).to_series()
    columns = {"item_id": ids.cast(pl.String), "title": title, "year": year, "genres": genres}
    return pl.DataFrame(columns, ITEMS)


def _titles(listed: pl.Series, checks: Checks) -> tuple[pl.Series, pl.Series]:
    titles, years = zip(*(split_title(text) for text in listed), strict=True)
    title, year = pl.Series(titles, dtype=pl.String), pl.Series(years, dtype=pl.Int32)
    checks.refuse(title == "", lambda row: f"no title in {quote(listed[row])}", _REMEDY, listed.name)
    what = "the year {} is not from 1870 to 2100"
    checks.refuse(~year.is_between(1870, 2100), lambda row: what.format(year[row]), _REMEDY, listed.name)
    return title, year


def _genres(named: pl.Series, checks: Checks) -> pl.Series:
    genres = pl.select(pl.when(~named.is_in(["", _NO_GENRES])).then(named.str.split("|"))).to_series()
    bad = genres.list.contains("") | (genres.list.n_unique() != genres.list.len())
    what = "a genre is empty or named twice"
    checks.refuse(bad, lambda row: f"{what}: {quote(named[row])}", "separate genres by |", named.name)
    return genres.fill_null(pl.Series([[]], dtype=genres.dtype))


def split_title(text: str) -> tuple[str, int | None]:
    """Split a listed title into the title in reading order, which may be empty, and the year.

    ``"Postino, Il (The Postman) (1994)"`` → ``("Il Postino (The Postman)", 1994)``. The year is None if the text does
    not end in four digits in parentheses.
    """
    if (match := _YEAR.fullmatch(text)) is None:
        return reading_order(text), None
    return reading_order(match["title"]), int(match["year"])


def reading_order(title: str) -> str:
    """Move articles to the front of a title and of its alternatives in parentheses; clean white space and entities."""
    main, parenthesis, rest = " ".join(unescaped(title).split()).partition(" (")
    alternatives = _ALTERNATIVE.sub(lambda match: f"({_article_first(match[1].strip())})", parenthesis + rest)
    return _article_first(main) + alternatives


def _article_first(title: str) -> str:
    if (match := _MOVED_ARTICLE.fullmatch(title)) is None:
        return title
    gap = "" if match["article"].endswith("'") else " "
    return f"{match['article']}{gap}{match['rest']}"
