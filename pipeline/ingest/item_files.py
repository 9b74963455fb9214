"""Reader of a table of items: ids, title, year, genres, and any other texts."""

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from ..core.errors import DataError
from ..data.tables import MARKS
from .checks import Check, quote, refuse, refuse_duplicates
from .clean_text import cleaned
from .columns import EXACT, find_columns, of_table
from .params import TableParams
from .raw import ITEMS
from .table_files import as_ids, as_text, read_table
from .tables import Layout, check_names

_RESERVED = ("row", *MARKS, "item_id")
_LAST_YEAR = 9999


def read_items(paths: Sequence[Path], params: TableParams) -> tuple[pl.DataFrame, dict[str, str]]:
    """Read items from the files of a table: item_id, title, year, genres, and every other column as text.

    Returns:
        The items, and the names of the columns by their role.

    Raises:
        DataError: anything is not as it must be; the message names file, row and column.
    """
    place = str(paths[0])
    tables = [read_table(path, Layout(params.separator), params.encoding) for path in paths]
    table = pl.concat(tables, how="diagonal_relaxed", rechunk=True)
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
    if params.item_rows == "refuse":
        remedy = "keep one of the rows, or set ingest.item_rows to first, last or longest"
        refuse_duplicates(ids.to_frame(key.name), [key.name], place, remedy)
    columns = {new: table[name] for name, new in renamed.items() if new != "item"}
    missing = pl.repeat(None, len(table), dtype=pl.String, eager=True)
    title = _one_line(as_text(columns.pop("title", missing).alias("title")))
    year = _years(columns.pop("year", missing.alias("year")), place)
    genres = _genres(columns.pop("genres", missing).alias("genres"))
    texts = [as_text(column).alias(name) for name, column in columns.items()]
    named = [title.alias("title"), year.alias("year"), genres, *texts]
    if params.clean_text:
        named = [cleaned(column) for column in named]
    return _one_row(pl.DataFrame([ids, *named]), params.item_rows), found


def added(items: pl.DataFrame, ids: pl.Series) -> pl.DataFrame:
    """Return items and those of further ids, which have no text."""
    further = pl.DataFrame({"item_id": ids}).with_columns(genres=pl.lit([], ITEMS["genres"]))
    return pl.concat([items, further], how="diagonal")


def no_items() -> pl.DataFrame:
    """Return the table of no items."""
    return pl.DataFrame(schema=ITEMS)


def _one_row(items: pl.DataFrame, which: str) -> pl.DataFrame:
    """Return one row of each item, in the order of its first; of each column a text that is there, by `which`."""
    if which == "refuse" or items["item_id"].is_unique().all():
        return items

    def chosen(name: str) -> pl.Expr:
        listed = isinstance(items.schema[name], pl.List)
        there = (pl.col(name).list.len() > 0) if listed else pl.col(name).is_not_null()
        if which != "longest":
            return (
                pl.col(name).filter(there).first() if which == "first" else pl.col(name).filter(there).last()
            )
        text = pl.col(name).list.join("") if listed else pl.col(name).cast(pl.String)
        return pl.col(name).get((text.str.len_chars().fill_null(0)).arg_max())

    columns = [chosen(name) for name in items.columns if name != "item_id"]
    found = items.group_by("item_id", maintain_order=True).agg(columns)
    return found.with_columns(pl.col("genres").fill_null([])).select(items.columns)


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
