"""Reading a catalogue of any project: a table of items with a column of ids."""

from pathlib import Path

import polars as pl

from ..core.errors import DataError, quote
from ..ingest.checks import Checks
from ..ingest.columns import USUAL, plain
from ..ingest.table_files import as_ids, as_text, cleaned, read_table


def read_catalogue(path: Path, id_column: str | None = None) -> pl.DataFrame:
    """Read a table of items in any format; ids are text or whole numbers, each once.

    Without `id_column`, the ids are in column `item_id`, else in the only column with a usual name (`USUAL`).

    Returns:
        item_id (text), then the other columns, rows in the order of the table. Texts are cleaned as `ingest` cleans
        them. A column `title` is text.

    Raises:
        DataError: the table is not as described; names file, row and column.
    """
    table, place = read_table(path), str(path)
    usual = [name for name in table.columns if plain(name) in USUAL["item"]]
    id_column = id_column or (usual[0] if len(usual) == 1 else "item_id")
    if id_column not in table.columns:
        there = ", ".join(map(quote, table.columns[:20]))
        what = f"column {quote(id_column)} is missing; there are {there}"
        raise DataError(what, place, "name the column of item ids: --id-column")
    if id_column != "item_id" and "item_id" in table.columns:
        what = f"the ids are in column {quote(id_column)}, but there is a column item_id too"
        raise DataError(what, place, "use it (--id-column item_id), or rename it")
    checks = Checks(place)
    ids = as_ids(table[id_column], checks)
    checks.refuse_duplicates(ids, "keep one of the rows")
    columns = [cleaned(_whole_numbers(column)) for column in table.drop(id_column)]
    items = pl.DataFrame([ids.alias("item_id"), *columns])
    if "title" not in items.columns:
        return items
    title = as_text(items["title"])
    return items.with_columns(title=title.list.join(", ") if isinstance(title.dtype, pl.List) else title)


def _whole_numbers(values: pl.Series) -> pl.Series:
    """Return whole numbers, such as years, that are floats only because of missing values, as whole numbers."""
    if not values.dtype.is_float():
        return values
    values = values.fill_nan(None)
    whole = values.cast(pl.Int64, strict=False)
    exact = whole.null_count() == values.null_count() and (whole.cast(values.dtype) == values).all()
    return whole if exact else values
