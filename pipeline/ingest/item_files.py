"""Reader of a table of items: ids, title, year, genres, and any other texts."""

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from ..core.errors import DataError
from ..data.tables import MARKS
from .checks import Checks, Origin, quote, refuse_duplicates
from .clean_text import cleaned
from .columns import EXACT, find_columns, of_table
from .params import TableParams
from .sources import Layout, check_names
from .table_files import as_ids, as_text, read_table

_RESERVED = ("row", *MARKS, "item_id")
_LAST_YEAR = 9999


def read_items(paths: Sequence[Path], params: TableParams) -> tuple[pl.DataFrame, dict[str, str]]:
    """Read items from the files of a table: item_id, title, year, genres, and every other column as text.

    Returns:
        The items, and the name of each role's column.

    Raises:
        DataError: a file or a value is malformed; the message names file, row and column.
    """
    place = str(paths[0])
    tables = [read_table(path, Layout(params.separator), params.encoding) for path in paths]
    table = pl.concat(tables, how="diagonal_relaxed", rechunk=True)
    given = {} if params.by_place else of_table(table.columns, ("item", *EXACT), params.given)
    found = find_columns(table.columns, place, ("item",), EXACT, given)
    roles = {name: role for role, name in found.items()}
    # A type that RecBole adds to a name is not part of the name.
    columns = [(roles.get(name, name.partition(":")[0]), table[name]) for name in table.columns]
    check_names(place, [name for name, _ in columns])
    for name, column in columns:
        if name in _RESERVED:
            raise DataError(f"the name of column {column.name} is taken", place, "give it another name")
    values = dict(columns)
    ids = as_ids(values.pop("item"), place)
    if params.item_rows == "refuse":
        remedy = "keep one of the rows, or set ingest.item_rows to first, last or longest"
        refuse_duplicates(ids.to_frame(), [ids.name], place, remedy)
    missing = pl.Series("", [None] * len(table), pl.String)
    title = _one_line(as_text(values.pop("title", missing)))
    year, genres = _years(values.pop("year", missing), place), _genres(values.pop("genres", missing))
    texts = {name: as_text(column) for name, column in values.items()}
    named = {"title": title, "year": year, "genres": genres, **texts}
    if params.clean_text:
        named = {name: cleaned(column) for name, column in named.items()}
    return _one_row(pl.DataFrame({"item_id": ids, **named}), params.item_rows), found


def _one_row(items: pl.DataFrame, which: str) -> pl.DataFrame:
    """Return one row of each item, in the order of its first row; of each column the `which` value that is there."""
    if which == "refuse" or items["item_id"].is_unique().all():
        return items

    def chosen(name: str, listed: bool) -> pl.Expr:
        column = pl.col(name).filter(pl.col(name).list.len() > 0) if listed else pl.col(name).drop_nulls()
        if which != "longest":
            return column.first() if which == "first" else column.last()
        text = column.list.join("") if listed else column.cast(pl.String)
        return column.sort_by(text.str.len_chars(), descending=True, maintain_order=True).first()

    columns = [chosen(name, isinstance(dtype, pl.List)) for name, dtype in items.schema.items()][1:]
    found = items.group_by("item_id", maintain_order=True).agg(columns)
    return found.with_columns(pl.col("genres").fill_null([]))


def _one_line(texts: pl.Series) -> pl.Series:
    texts = texts.list.join(", ") if isinstance(texts.dtype, pl.List) else texts
    return as_text(texts.str.replace_all(r"\s+", " ").str.strip_chars())


def _years(values: pl.Series, place: str) -> pl.Series:
    texts = as_text(values)
    if isinstance(texts.dtype, pl.List):
        where = f"{place}, column {values.name}"
        raise DataError(f"type is {values.dtype}", where, "write one year, or nothing")
    years = texts.str.strip_chars().cast(pl.Float64, strict=False)
    whole = (years == years.floor()) & years.is_between(-_LAST_YEAR, _LAST_YEAR)
    Checks(Origin(place)).refuse(
        ~whole.fill_null(False) & texts.is_not_null(),
        lambda row: f"{quote(texts[row])} is not a year",
        f"write a whole number up to {_LAST_YEAR}, or nothing",
        values.name,
    )
    return years.cast(pl.Int32)


def _genres(values: pl.Series) -> pl.Series:
    texts = as_text(values)
    if not isinstance(texts.dtype, pl.List):
        texts = texts.fill_null("").str.split("|")
    named = pl.element().str.strip_chars()
    return texts.fill_null([]).list.eval(named.filter(named != "").unique(maintain_order=True))
