"""Checks of the rows of a table; a refusal names the first bad row and the number of further bad rows."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ..core.errors import DataError, quote

Unit = Literal["line", "row"]


class Checks:
    """Checks of a table. Rows are numbered from 0 through all its files; messages number them from 1 in each file.

    In a table in memory, the first bad row raises an error at once.

    A table that is read in blocks raises the same error as the whole table. The same checks run in the same order in
    every `block`; a failed check ends its block. Later blocks are still checked: they may fail an earlier check, or add
    bad rows to the count. `finish` raises the error.

    Args:
        place: the first file; None: files are added before their rows are checked.
        unit: the name of a row in messages.

    Attributes:
        user, item: the names of the columns of ids, for messages.
    """

    def __init__(self, place: str | None = None, unit: Unit = "row") -> None:
        self.unit, self.user, self.item = unit, "user", "item"
        self._files: list[tuple[int, str]] = [] if place is None else [(0, place)]
        self._check = 0
        self._rows: NDArray[np.int64] | None = None
        self._found: list[tuple[int, int, int, str, str, str]] = []
        """For each refusal: check, first bad row, number of bad rows, problem of the first row, column, remedy."""

    @property
    def place(self) -> str:
        """The file that was added last."""
        return self._files[-1][1]

    def add(self, place: str, start: int) -> None:
        """Add the next file; its first row has the number `start`."""
        self._files.append((start, place))

    def find(self, row: int) -> tuple[str, int]:
        """Return the file of a row, and the row's number there, from 0."""
        start, place = next(file for file in reversed(self._files) if file[0] <= row)
        return place, row - start

    @contextmanager
    def block(self, rows: NDArray[np.int64]) -> Iterator[None]:
        """Check the next block, whose rows have these numbers, int64 [rows]; a refusal leaves the `with` block."""
        self._check, self._rows = 0, rows
        with suppress(_BlockRefused):
            yield

    def refuse(self, bad: pl.Series, describe: Callable[[int], str], remedy: str, column: str = "") -> None:
        """Refuse a table, or leave the block, if there is a bad row.

        `bad` is boolean, null counts as false. `describe` returns the problem of a row of the table or block. `column`
        is the column's name in the file, if the check concerns one column.

        Raises:
            DataError: there is a bad row, and the table is in memory.
        """
        self._check += 1
        places = bad.arg_true()
        if not len(places):
            return
        first = int(places[0] if self._rows is None else self._rows[places[0]])
        self._found.append((self._check, first, len(places), describe(places[0]), column, remedy))
        if self._rows is None:
            self.finish()
        raise _BlockRefused

    def refuse_values(self, bad: pl.Series, values: pl.Series, problem: str, remedy: str) -> None:
        """Refuse, as `refuse` does, a column with a bad value; the message is the value and the problem."""
        self.refuse(bad, lambda row: f"{quote(values[row])} {problem}", remedy, values.name)

    def finish(self) -> None:
        """Raise ``DataError`` if a block broke a check: for the earliest broken check and its first bad row."""
        found, self._found = self._found, []
        if found:
            check, first, _, what, column, remedy = min(found)
            count = sum(refusal[2] for refusal in found if refusal[0] == check)
            more = f" (and {count - 1:,} more {self.unit}s)" if count > 1 else ""
            place, row = self.find(first)
            where = f"{place}, {self.unit} {row + 1}" + (f", column {column}" if column else "")
            raise DataError(what + more, where, remedy)


class _BlockRefused(Exception):
    """Leaves a block."""


def refuse_duplicates(ids: pl.Series, checks: Checks, remedy: str) -> None:
    """Raise ``DataError`` for the first row that repeats the id of an earlier row."""

    def describe(row: int) -> str:
        place, first = checks.find(int((ids == ids[row]).arg_true()[0]))
        elsewhere = f" of {place}" if place != checks.find(row)[0] else ""
        return f"{ids.name} {quote(ids[row])} is there already, on {checks.unit} {first + 1}{elsewhere}"

    checks.refuse(~ids.is_first_distinct(), describe, remedy)
