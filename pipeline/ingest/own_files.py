"""Reader of a data set of one's own: a table of interactions and a table of items."""

from pathlib import Path

import polars as pl

from ..core.errors import DataError
from .checks import Check, quote, refuse, refuse_duplicates
from .event_files import read_events
from .event_log import EventLog
from .raw import RawDataset
from .sources import md5_file
from .table_files import as_ids, as_text, find_column, read_table

_RESERVED = ("row", "candidate")
_LAST_YEAR = 9999


def read_files(interactions: Path, items: Path) -> RawDataset[EventLog]:
    """Read and check the two tables of a data set, each CSV or Parquet (see `read_table`).

    Interactions have the columns `user`, `item` (or `user_id`, `item_id`) and `timestamp`; others are not read. A
    timestamp serves to order a user's interactions, whatever its unit; those that are equal keep the order of
    their rows. Each user has each item once, because what is in a user's history is never recommended to him.

    Items have the column `item` (or `item_id`), and, where they like, `title`, `year`, `genres` (a list, or text
    separated by `|`) and any other texts. A missing text is null, the title's too.

    Raises:
        DataError: anything is not as it must be; the message names file, row and column.
    """
    listed = _items(read_table(items), str(items))
    events = read_events(interactions, listed["item_id"], str(items))
    checksums = {"interactions": md5_file(interactions), "items": md5_file(items)}
    return RawDataset("files", None, listed, events, checksums)


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
    return pl.DataFrame([ids, title.alias("title"), year, genres, *texts])


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
        Check(
            ~whole.fill_null(False) & texts.is_not_null(),
            place,
            lambda row: f"{quote(texts[row])} is not a year",
            f"write a whole number up to {_LAST_YEAR}, or nothing",
            "year",
        )
    )
    return years.cast(pl.Int32)


def _genres(values: pl.Series) -> pl.Series:
    texts = as_text(values)
    if not isinstance(texts.dtype, pl.List):
        texts = texts.fill_null("").str.split("|")
    named = pl.element().str.strip_chars()
    return texts.fill_null([]).list.eval(named.filter(named != "").unique(maintain_order=True))
