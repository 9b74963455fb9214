"""Movies as MovieLens lists them, as items: title in reading order, year, genres."""

import polars as pl

from .checks import Check, Unit, quote, refuse
from .fields import REMEDY
from .movielens_versions import GENRES_100K
from .raw import ITEMS
from .titles import split_title

_YEARS = range(1870, 2101)
_NO_GENRES = "(no genres listed)"


def items(movies: pl.DataFrame, place: str, unit: Unit) -> pl.DataFrame:
    """Turn movies of id, title and genres (`Drama|Romance`), in columns of any names, into items.

    Raises:
        DataError: there is no title, a year is impossible, or a genre is empty or there twice.
    """
    ids, listed, named = movies.get_columns()
    title, year = _titles(listed, place, unit)
    unknown = named.is_in(["", _NO_GENRES])
    genres = named.str.split("|")
    refuse(
        Check(
            (genres.list.contains("") | (genres.list.n_unique() != genres.list.len())) & ~unknown,
            place,
            lambda row: f"a genre is empty or named twice: {quote(named[row])}",
            "separate genres by |",
            named.name,
            unit,
        )
    )
    genres = pl.select(pl.when(unknown).then(pl.lit([], pl.List(pl.String))).otherwise(genres)).to_series()
    return _frame(ids, title, year, genres)


def items_100k(movies: pl.DataFrame, place: str) -> pl.DataFrame:
    """Turn the movies of 100K, with a flag for each genre, into items.

    The year is that of the title, or else of the release date; marks behind it (`(V)`, `(TV)`) go.

    Raises:
        DataError: there is no title, or a year is impossible.
    """
    listed = movies["movie title"].str.replace(r"(\(\d{4}\)) \((V|TV)\)\s*$", "${1}")
    title, year = _titles(listed, place, "line")
    released = movies["release date"].str.extract(r"-(\d{4})$").cast(pl.Int32)
    named = [pl.when(pl.col(genre) == "1").then(pl.lit(genre)) for genre in GENRES_100K[1:]]
    genres = movies.select(pl.concat_list(named).list.drop_nulls()).to_series()
    return _frame(movies["movie id"], title, year.fill_null(released), genres)


def _titles(listed: pl.Series, place: str, unit: Unit) -> tuple[pl.Series, pl.Series]:
    titles, years = zip(*(split_title(text) for text in listed), strict=True)
    title, year = pl.Series(titles, dtype=pl.String), pl.Series(years, dtype=pl.Int32)
    no_title = Check(
        title == "", place, lambda row: f"no title in {quote(listed[row])}", REMEDY, listed.name, unit
    )
    refuse(no_title)
    refuse(
        Check(
            ~year.is_between(_YEARS.start, _YEARS.stop - 1).fill_null(True),
            place,
            lambda row: f"the year {year[row]} is not from {_YEARS.start} to {_YEARS.stop - 1}",
            REMEDY,
            listed.name,
            unit,
        )
    )
    return title, year


def _frame(ids: pl.Series, title: pl.Series, year: pl.Series, genres: pl.Series) -> pl.DataFrame:
    return pl.DataFrame(
        {"item_id": ids.cast(pl.String), "title": title, "year": year, "genres": genres}, ITEMS
    )
