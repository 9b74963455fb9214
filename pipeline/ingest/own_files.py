"""Reader of a data set of one's own: a table of interactions and a table of items."""

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from ..core.errors import DataError
from .checks import Check, quote, refuse, refuse_duplicates
from .columns import EXACT, described, find_columns, of_table
from .event_files import read_events
from .event_log import EventLog
from .params import TableParams
from .parts import md5_of
from .raw import RawDataset
from .table_files import as_ids, as_text, read_table
from .tables import Layout, check_names

_RESERVED = ("row", "candidate", "item_id")
_LAST_YEAR = 9999


Paths = Path | Sequence[Path]
"""Of a table: a file, or several whose rows follow each other."""


def read_files(interactions: Paths, items: Paths, params: TableParams | None = None) -> RawDataset[EventLog]:
    """Read and check the two tables of a data set (see `read_blocks`).

    Interactions have columns of user, item and timestamp, and maybe of the rating (see `find_columns`); others are not
    read. A timestamp serves to order a user's interactions, whatever its unit; those that are equal keep the order of
    their rows. Each user has each item once, because what is in a user's history is never recommended to him.

    Items have a column of ids, and, where they like, `title`, `year`, `genres` (a list, or text
    separated by `|`) and any other texts. A missing text is null, the title's too.

    Args:
        interactions: files of the table of interactions.
        items: files of the table of items.
        params: how they are written; by default, as the reader finds out.

    Raises:
        DataError: anything is not as it must be; the message names file, row and column.
    """
    params = params or TableParams()
    paths, listing = _paths(interactions), _paths(items)
    tables = [read_table(path, Layout(params.separator), params.encoding) for path in listing]
    listed, item_columns = _items(pl.concat(tables, how="diagonal_relaxed"), str(listing[0]), params)
    events = read_events(paths, listed["item_id"], str(listing[0]), params)
    named = params.given.get("item")
    if isinstance(named, str) and named not in (events.columns["item"], item_columns["item"]):
        what = f"neither table has a column {quote(named)}, which ingest.columns names"
        raise DataError(what, f"{paths[0]}, {listing[0]}", "correct it")
    notes = (
        f"interactions: {described(events.columns)}, of {_named(paths)}",
        f"items: {described(item_columns)}, of {_named(listing)}; texts: {', '.join(listed.columns[1:])}",
    )
    checksums = {"interactions": md5_of(paths), "items": md5_of(listing)}
    return RawDataset("files", None, listed, events.log, checksums, notes)


def _paths(table: Paths) -> Sequence[Path]:
    return [table] if isinstance(table, Path) else table


def _named(paths: Sequence[Path]) -> str:
    return str(paths[0]) if len(paths) == 1 else f"{len(paths)} files from {paths[0]} to {paths[-1].name}"


def _items(table: pl.DataFrame, place: str, params: TableParams) -> tuple[pl.DataFrame, dict[str, str]]:
    """Return the items and the columns that were taken for their roles."""
    given = {} if params.by_place else of_table(table.columns, ("item", *EXACT), params.given)
    found = find_columns(table.columns, place, ("item",), EXACT, given)
    # A type that RecBole adds to a name is not part of it.
    renamed = {name: name.partition(":")[0] for name in table.columns} | {
        name: role for role, name in found.items()
    }
    check_names(place, list(renamed.values()))
    for name in _RESERVED:
        if name in renamed.values():
            raise DataError(f"the name of column {name} is taken", place, "give it another name")
    key = table[found["item"]]
    ids = as_ids(key, place).alias("item_id")
    refuse_duplicates(ids.to_frame(key.name), [key.name], place, "keep one of the rows")
    columns = {new: table[name] for name, new in renamed.items() if new != "item"}
    missing = pl.repeat(None, len(table), dtype=pl.String, eager=True)
    title = _one_line(as_text(columns.pop("title", missing).alias("title")))
    year = _years(columns.pop("year", missing.alias("year")), place)
    genres = _genres(columns.pop("genres", missing).alias("genres"))
    texts = [as_text(column).alias(name) for name, column in columns.items()]
    return pl.DataFrame([ids, title.alias("title"), year.alias("year"), genres, *texts]), found


def _one_line(values: pl.Series) -> pl.Series:
    texts = values.list.join(", ") if isinstance(values.dtype, pl.List) else values
    return as_text(texts.str.replace_all(r"\s+", " ").str.strip_chars())


def _years(values: pl.Series, place: str) -> pl.Series:
    texts = as_text(values)
    if isinstance(texts.dtype, pl.List):
        raise DataError(
            f"type is {values.dtype}", f"{place}, column {values.name}", "write one year, or nothing"
        )
    years = texts.str.strip_chars().cast(pl.Float64, strict=False)
    whole = (years == years.floor()) & years.is_between(-_LAST_YEAR, _LAST_YEAR)
    refuse(
        Check(
            ~whole.fill_null(False) & texts.is_not_null(),
            place,
            lambda row: f"{quote(texts[row])} is not a year",
            f"write a whole number up to {_LAST_YEAR}, or nothing",
            values.name,
        )
    )
    return years.cast(pl.Int32)


def _genres(values: pl.Series) -> pl.Series:
    texts = as_text(values)
    if not isinstance(texts.dtype, pl.List):
        texts = texts.fill_null("").str.split("|")
    named = pl.element().str.strip_chars()
    return texts.fill_null([]).list.eval(named.filter(named != "").unique(maintain_order=True))
