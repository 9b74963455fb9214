"""The MovieLens archives: which members each has, and which columns they have."""

from collections.abc import Set
from dataclasses import dataclass
from typing import Literal

from .checks import Unit
from .fields import Field, Number, Text, id_field

GENRES_100K = (
    *("unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama"),
    *("Fantasy", "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War"),
    "Western",
)
"""The flags of `u.item`, in their order (`u.genre`)."""

USERS = (
    id_field("UserID"),
    Text("Gender", ("F", "M")),
    Number("Age", 1, 150),
    Number("Occupation", 0, 99),
    Text("Zip-code"),
)


@dataclass(frozen=True)
class Version:
    """An archive of the family.

    Attributes:
        movies: the file of movies.
        movie: its columns: id, title, genres; in 100K others follow the title.
        ratings: the file of ratings.
        rating: its columns: user, movie, rating, time.
        users: the file of users, where ratings are checked against it.
        separators: of the columns of movies and of ratings; None: these are CSV, with a line of names.
        encoding: of movies and users.
    """

    movies: str
    movie: tuple[Field, ...]
    ratings: str
    rating: tuple[Field, ...]
    users: str | None = None
    separators: tuple[str, str] | None = ("::", "::")
    encoding: Literal["latin-1", "utf-8"] = "utf-8"

    @property
    def members(self) -> tuple[str, ...]:
        """Names of all its files that are read."""
        return self.movies, *([self.users] if self.users else []), self.ratings

    @property
    def unit(self) -> Unit:
        """What a row of its files is called."""
        return "line" if self.separators else "row"


def version_of(there: Set[str]) -> Version:
    """Return the version that has these members, or if none has, one that lacks the smallest share of its own."""
    return min(_VERSIONS, key=lambda version: len({*version.members} - there) / len(version.members))


def _rating(user: str, movie: str, rating: str, time: str, step: float) -> tuple[Field, ...]:
    seconds = "write seconds since 1970 (UTC), not milliseconds, not dates"
    return (
        id_field(user),
        id_field(movie),
        Number(rating, step, 5, step=step),
        Number(time, 1, 2**32 - 1, seconds),
    )


_MOVIE = (id_field("MovieID"), Text("Title"), Text("Genres"))
_ML_1M = Version(
    "movies.dat",
    _MOVIE,
    "ratings.dat",
    _rating("UserID", "MovieID", "Rating", "Timestamp", 1),
    users="users.dat",
    encoding="latin-1",
)
_ML_10M = Version(
    "movies.dat", _MOVIE, "ratings.dat", _rating("UserID", "MovieID", "Rating", "Timestamp", 0.5)
)
_ML_20M_AND_LATER = Version(
    "movies.csv",
    (id_field("movieId"), Text("title"), Text("genres")),
    "ratings.csv",
    _rating("userId", "movieId", "rating", "timestamp", 0.5),
    separators=None,
)
_ML_100K = Version(
    "u.item",
    (
        id_field("movie id"),
        *map(Text, ("movie title", "release date", "video release date", "IMDb URL")),
        *(Text(genre, ("0", "1")) for genre in GENRES_100K),
    ),
    "u.data",
    _rating("user id", "item id", "rating", "timestamp", 1),
    separators=("|", "\t"),
    encoding="latin-1",
)
_VERSIONS = (_ML_1M, _ML_10M, _ML_20M_AND_LATER, _ML_100K)
