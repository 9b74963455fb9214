"""The movies of MovieLens as items: title in reading order, year, genres."""

import re

import polars as pl

from .checks import Checks, quote
from .movielens_versions import GENRES_100K, REMEDY
from .raw import ITEMS
from .table_files import unescaped

_FIRST_YEAR, _LAST_YEAR = 1870, 2100
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


def items(movies: pl.DataFrame, checks: Checks) -> pl.DataFrame:
    """Turn movies of id, title and genres (`Drama|Romance`) into items.

    100K has a flag for each genre instead, and marks (`(V)`, `(TV)`) after the year, which are left out. There, the
    release date stands for a missing year.

    Raises:
        DataError: a title is missing, a year is impossible, or a genre is empty or there twice.
    """
    if GENRES_100K[0] not in movies.columns:
        ids, listed, named = movies.get_columns()
        title, year = _titles(listed, checks)
        genres = _genres(named, checks)
    else:
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
    checks.refuse(title == "", lambda row: f"no title in {quote(listed[row])}", REMEDY, listed.name)
    wanted = f"from {_FIRST_YEAR} to {_LAST_YEAR}"
    bad = ~year.is_between(_FIRST_YEAR, _LAST_YEAR)
    checks.refuse(bad, lambda row: f"the year {year[row]} is not {wanted}", REMEDY, listed.name)
    return title, year


def _genres(named: pl.Series, checks: Checks) -> pl.Series:
    genres = pl.select(pl.when(~named.is_in(["", _NO_GENRES])).then(named.str.split("|"))).to_series()
    bad = genres.list.contains("") | (genres.list.n_unique() != genres.list.len())
    what = "a genre is empty or named twice"
    checks.refuse(bad, lambda row: f"{what}: {quote(named[row])}", "separate genres by |", named.name)
    return genres.fill_null(pl.Series([[]], dtype=genres.dtype))


def split_title(text: str) -> tuple[str, int | None]:
    """Split a listed title into the title in reading order and the year.

    ``"Postino, Il (The Postman) (1994)"`` → ``("Il Postino (The Postman)", 1994)``. The year is None if the text does
    not end in four digits in parentheses. The title may be empty.
    """
    match = _YEAR.fullmatch(text)
    if match is None:
        return reading_order(text), None
    return reading_order(match["title"]), int(match["year"])


def reading_order(title: str) -> str:
    """Put moved articles in front, of the title and of each alternative title in parentheses.

    Runs of white space become one space, and HTML entities become characters.
    """
    main, parenthesis, rest = " ".join(unescaped(title).split()).partition(" (")
    alternatives = _ALTERNATIVE.sub(lambda match: f"({_article_first(match[1].strip())})", parenthesis + rest)
    return _article_first(main) + alternatives


def _article_first(title: str) -> str:
    match = _MOVED_ARTICLE.fullmatch(title)
    if match is None:
        return title
    gap = "" if match["article"].endswith("'") else " "
    return f"{match['article']}{gap}{match['rest']}"
