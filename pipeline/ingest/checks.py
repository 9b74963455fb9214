"""Checks of the rows of a table; a refusal names the first bad row and the number of further bad rows."""

from collections.abc import Callable
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ..core.errors import DataError, quote

Unit = Literal["line", "row"]


class Checks:
    """Checks of a table, in memory or in blocks. The first bad row raises an error.

    Rows are numbered from 0 through all files of the table; messages number them from 1 in each file. They count the
    further bad rows of the same check: those of the table, or of the block.

    Args:
        place: the first file; None: files are added before their rows are checked.
        unit: the name of a row in messages.
    """

    def __init__(self, place: str | None = None, unit: Unit = "row") -> None:
        self.unit, self.user, self.item = unit, "user", "item"  # user, item: names of the columns of ids, for messages
        # The number of each file's first row, and the file.
        self.files: list[tuple[int, str]] = [] if place is None else [(0, place)]
        # The numbers of a block's rows, [rows], set before the block is checked; None: they follow from 0.
        self.rows: NDArray[np.int64] | None = None

    @property
    def place(self) -> str:
        """The file that was added last."""
        return self.files[-1][1]

    def find(self, row: int) -> tuple[str, int]:
        """Return the file of a row of the table or block, and the row's number there, from 1."""
        number = row if self.rows is None else int(self.rows[row])
        start, place = next(file for file in reversed(self.files) if file[0] <= number)
        return place, number - start + 1

    def refuse(self, bad: pl.Series, describe: Callable[[int], str], remedy: str, column: str = "") -> None:
        """Raise ``DataError`` if there is a bad row.

        `bad` is boolean, null counts as false. `describe` returns the problem of a row of the table or block. `column`
        is the column's name in the file, if the check concerns one column.
        """
        places = bad.arg_true()
        if len(places):
            more = f" (and {len(places) - 1:,} more {self.unit}s)" if len(places) > 1 else ""
            place, number = self.find(places[0])
            where = f"{place}, {self.unit} {number}" + (f", column {column}" if column else "")
            raise DataError(describe(places[0]) + more, where, remedy)

    def refuse_values(self, bad: pl.Series, values: pl.Series, problem: str, remedy: str) -> None:
        """Refuse, as `refuse` does, a column with a bad value; the message is the value and the problem."""
        self.refuse(bad, lambda row: f"{quote(values[row])} {problem}", remedy, values.name)

    def refuse_duplicates(self, keys: pl.Series, remedy: str, named: Callable[[int], str] | None = None) -> None:
        """Refuse, as `refuse` does, a row with the key of an earlier row; `named` names a row's key, here an id."""

        def describe(row: int) -> str:
            name = named(row) if named else f"{keys.name} {quote(keys[row])}"
            (place, _), (first, number) = self.find(row), self.find((keys == keys[row]).arg_true()[0])
            elsewhere = f" of {first}" if first != place else ""
            return f"{name} is there already, on {self.unit} {number}{elsewhere}"

        self.refuse(~keys.is_first_distinct(), describe, remedy)
