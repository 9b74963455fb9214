"""The MovieLens archives: their files, and the columns of each file."""

from collections.abc import Set
from dataclasses import dataclass

import polars as pl

from .checks import Checks, Unit
from .sources import Plain

REMEDY = "correct the file, or fetch the archive again"

GENRES_100K = (
    *("unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama"),
    *("Fantasy", "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War"),
    "Western",
)
"""The flags of `u.item`, in their order (`u.genre`)."""


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
    remedy: str = REMEDY

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


def version_of(names: Set[str]) -> tuple[File, ...]:
    """Return the version that lacks the smallest share of its files, given the names of an archive's files.

    The first of its files are the movies: id, title, genres; in 100K other columns follow the title. The last are the
    ratings: user, movie, rating, time. A file between lists the users.
    """
    return min(_VERSIONS, key=lambda files: sum(file.name not in names for file in files) / len(files))


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
