"""Reader of a data set of one's own: a table of interactions and a table of items."""

import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl

from ..errors import DataError
from .checks import quote, refuse, refuse_duplicates
from .raw import INTERACTIONS, RawDataset
from .table_files import as_ids, as_text, find_column, read_table

_NEEDED = ("user", "item", "timestamp")
_RESERVED = ("row", "candidate")
_LAST_YEAR = 9999
_EXACT = 2**53
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TIMES = "write numbers, dates, or ISO 8601 such as 2001-12-31T23:59:59, the same way in all rows"


def read_files(interactions: Path, items: Path) -> RawDataset:
    """Read and check the two tables of a data set, each CSV or Parquet (see `read_table`).

    Interactions have the columns `user`, `item` (or `user_id`, `item_id`) and `timestamp`; others are not read. A
    timestamp serves to order a user's interactions, whatever its unit; those that are equal keep the order of
    their rows. Each user has each item once, because what is in a user's history is never recommended to him.

    Items have the column `item` (or `item_id`), and, where they like, `title`, `year`, `genres` (a list, or text
    separated by `|`) and any other texts. The title is the id where there is none; other missing texts are null.

    Raises:
        DataError: anything is not as it must be; the message names file, row and column.
    """
    listed = _items(read_table(items), str(items))
    events = _interactions(read_table(interactions), str(interactions))
    refuse(
        ~events["item_id"].is_in(listed["item_id"].implode()),
        str(interactions),
        lambda row: f"item {quote(events['item_id'][row])} is not listed in {items}",
        "add it there; a row with the id alone is enough",
        "item",
    )
    checksums = {"interactions": md5_file(interactions), "items": md5_file(items)}
    return RawDataset("files", None, listed, events, checksums)


def md5_file(path: Path) -> str:
    """Return the hex MD5 of a file's content, DVC's checksum."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()


def _interactions(table: pl.DataFrame, place: str) -> pl.DataFrame:
    user, item, time = (find_column(table, name, place, _NEEDED) for name in _NEEDED)
    events = pl.DataFrame(
        {
            "user": as_ids(table[user], place),
            "item": as_ids(table[item], place),
            "timestamp": _timestamps(table[time], place),
        }
    )
    remedy = "keep one row of each user and item, e.g. the first"
    refuse_duplicates(events, ["user", "item"], place, remedy)
    rating = pl.lit(None, INTERACTIONS["rating"])
    return events.select(user_id="user", item_id="item", rating=rating, timestamp="timestamp")


def _items(table: pl.DataFrame, place: str) -> pl.DataFrame:
    key = find_column(table, "item", place, ("item",))
    for name in _RESERVED:
        if name in table.columns:
            raise DataError(f"the name of column {name} is taken", place, "give it another name")
    ids = as_ids(table[key], place).alias("item_id")
    refuse_duplicates(ids.to_frame("item"), ["item"], place, "keep one of the rows")
    columns = {name: table[name] for name in table.columns if name != key}
    missing = pl.repeat(None, len(table), dtype=pl.String, eager=True)
    title = _one_line(as_text(columns.pop("title", missing).alias("title")))
    year = _years(columns.pop("year", missing).alias("year"), place)
    genres = _genres(columns.pop("genres", missing).alias("genres"))
    texts = [as_text(column) for column in columns.values()]
    return pl.DataFrame([ids, title.fill_null(ids).alias("title"), year, genres, *texts])


def _one_line(values: pl.Series) -> pl.Series:
    texts = values.list.join(", ") if isinstance(values.dtype, pl.List) else values
    return as_text(texts.str.replace_all(r"\s+", " ").str.strip_chars())


def _years(values: pl.Series, place: str) -> pl.Series:
    texts = as_text(values)
    if isinstance(texts.dtype, pl.List):
        raise DataError(f"type is {values.dtype}", f"{place}, column year", "write one year, or nothing")
    years = texts.str.strip_chars().cast(pl.Float64, strict=False)
    whole = (years == years.floor()) & years.is_between(-_LAST_YEAR, _LAST_YEAR)
    refuse(
        ~whole.fill_null(False) & texts.is_not_null(),
        place,
        lambda row: f"{quote(texts[row])} is not a year",
        f"write a whole number up to {_LAST_YEAR}, or nothing",
        "year",
    )
    return years.cast(pl.Int32)


def _genres(values: pl.Series) -> pl.Series:
    texts = as_text(values)
    if not isinstance(texts.dtype, pl.List):
        texts = texts.fill_null("").str.split("|")
    named = pl.element().str.strip_chars()
    return texts.fill_null([]).list.eval(named.filter(named != "").unique(maintain_order=True))


def _timestamps(values: pl.Series, place: str) -> pl.Series:
    """Return timestamps as numbers that sort as they do: int64, or float64 where there are fractions.

    Dates and datetimes count in their own unit since 1970, in UTC where no zone is named; written ones in
    microseconds.
    """
    kind = values.dtype
    moments = kind in (pl.Date, pl.Datetime)
    if not (kind.is_integer() or kind.is_float() or moments or kind in (pl.String, pl.Null)):
        raise DataError(f"type is {kind}", f"{place}, column {values.name}", _TIMES)
    refuse(as_text(values).is_null(), place, lambda _: "a timestamp is missing", _TIMES, values.name)
    if moments:
        return values.to_physical().cast(pl.Int64)
    if kind != pl.String:
        return _numbers(values, place)
    texts = values.str.strip_chars()
    return (
        _dates(texts, place)
        if texts[:1].cast(pl.Float64, strict=False).has_nulls()
        else _numbers(texts, place)
    )


def _numbers(values: pl.Series, place: str) -> pl.Series:
    if not values.dtype.is_float():
        whole = values.cast(pl.Int64, strict=False)
        if not whole.has_nulls():
            return whole
    numbers = values.cast(pl.Float64, strict=False)
    bad = ~(numbers.is_finite() & (numbers.abs() < _EXACT)).fill_null(False)

    def describe(row: int) -> str:
        problem = (
            "is not a number, as that of row 1 is" if numbers[row] is None else "is too large to be exact"
        )
        return f"{quote(values[row])} {problem}"

    refuse(bad, place, describe, _TIMES, values.name)
    return numbers


def _dates(texts: pl.Series, place: str) -> pl.Series:
    moments = pl.Series([_microseconds(text) for text in texts], dtype=pl.Int64)

    def describe(row: int) -> str:
        wanted = "a date in ISO 8601, as that of row 1 is" if row else "a number, nor a date in ISO 8601"
        return f"{quote(texts[row])} is not {wanted}"

    refuse(moments.is_null(), place, describe, _TIMES, texts.name)
    return moments


def _microseconds(text: str) -> int | None:
    """Return the microseconds since 1970 of a date or datetime in ISO 8601; None: it is none."""
    try:
        moment = datetime.fromisoformat(text)
        return ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - _EPOCH) // timedelta(
            microseconds=1
        )
    except (ValueError, OverflowError):
        return None
