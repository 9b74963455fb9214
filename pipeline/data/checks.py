"""Refusals that name the first offending row of a table and say how many more there are."""

from collections.abc import Callable
from typing import Literal

import polars as pl

from ..errors import DataError


def refuse(
    bad: pl.Series,
    place: str,
    describe: Callable[[int], str],
    remedy: str,
    column: str | None = None,
    unit: Literal["line", "row"] = "row",
) -> None:
    """Raise for the first row in which ``bad`` holds.

    Args:
        bad: boolean, one value per row; null counts as false.
        place: the file.
        describe: what is wrong with the row of that index.
        remedy: what to do about it.
        column: its name in the file.
        unit: what a row is called; both count from 1, a row without its header.

    Raises:
        DataError: ``bad`` holds somewhere.
    """
    rows = bad.arg_true()
    if rows.is_empty():
        return
    where = f"{place}, {unit} {rows[0] + 1}" + (f", column {column}" if column else "")
    more = f" (and {len(rows) - 1:,} more {unit}s)" if len(rows) > 1 else ""
    raise DataError(describe(rows[0]) + more, where, remedy)


def refuse_duplicates(
    table: pl.DataFrame, keys: list[str], place: str, remedy: str, unit: Literal["line", "row"] = "row"
) -> None:
    """Raise for the first row whose ``keys`` are those of a row before it."""
    first = table.select(pl.struct(keys).is_first_distinct()).to_series()

    def describe(row: int) -> str:
        values = table.row(row, named=True)
        same = table.select(pl.all_horizontal(pl.col(key) == values[key] for key in keys)).to_series()
        named = ", ".join(f"{key} {quote(values[key])}" for key in keys)
        return f"{named} is there already, on {unit} {same.arg_true()[0] + 1}"

    refuse(~first, place, describe, remedy, unit=unit)


def quote(value: object) -> str:
    """Return a value as a message shows it: quoted if it is text, shortened if it is long."""
    if isinstance(value, str) and len(value) > 60:
        value = value[:57] + "..."
    return repr(value)
