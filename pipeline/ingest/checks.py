"""Refusals that name the first offending row of a table and say how many more there are."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ..core.errors import DataError, quote

Unit = Literal["line", "row"]


@dataclass
class Refusal:
    """Rows that are not as they must be: what is wrong with the first of them, counted from 0, and their number."""

    what: str
    place: str
    row: int
    count: int
    remedy: str
    column: str | None = None
    unit: Unit = "row"

    @property
    def error(self) -> DataError:
        """The message."""
        where = f"{self.place}, {self.unit} {self.row + 1}" + (
            f", column {self.column}" if self.column else ""
        )
        more = f" (and {self.count - 1:,} more {self.unit}s)" if self.count > 1 else ""
        return DataError(self.what + more, where, self.remedy)


@dataclass(frozen=True)
class Check:
    """What no row may be.

    Attributes:
        bad: boolean, one value per row; null counts as false.
        place: the file.
        describe: what is wrong with the row of that index.
        remedy: what to do about it.
        column: its name in the file.
        unit: what a row is called; both count from 1, a row without its header.
    """

    bad: pl.Series
    place: str
    describe: Callable[[int], str]
    remedy: str
    column: str | None = None
    unit: Unit = "row"

    def refusal(self) -> Refusal | None:
        """Return what is wrong, if anything."""
        rows = self.bad.arg_true()
        if rows.is_empty():
            return None
        what = self.describe(rows[0])
        return Refusal(what, self.place, rows[0], len(rows), self.remedy, self.column, self.unit)


Refuse = Callable[[Check], None]
"""`refuse`, or that of a table that is read in blocks."""


def refuse(check: Check) -> None:
    """Raise for the first bad row.

    Raises:
        DataError: there is one.
    """
    if (refusal := check.refusal()) is not None:
        raise refusal.error


class BlockChecks:
    """Checks of a table that is read in blocks, with the message that the whole table would get.

    Each block gets the same checks, in the same order. The first check that a block breaks is the last one made of it.
    Later blocks are still checked: they may break an earlier check, or add to the number of bad rows.
    """

    def __init__(self) -> None:
        self._check, self._lines = 0, np.zeros(0, np.int64)
        self._found: dict[int, Refusal] = {}

    @contextmanager
    def block(self, lines: NDArray[np.int64]) -> Iterator[None]:
        """Check the next block; what follows a refusal within is skipped.

        Args:
            lines: int64 [rows], the numbers of its rows in their file, from 0.
        """
        self._check, self._lines = 0, lines
        with suppress(_BlockRefused):
            yield

    def refuse(self, check: Check) -> None:
        """Note the bad rows of a block, if there are any, and leave the block."""
        self._check += 1
        refusal = check.refusal()
        if refusal is None:
            return
        refusal.row = int(self._lines[refusal.row])
        if self._check in self._found:
            self._found[self._check].count += refusal.count
        else:
            self._found[self._check] = refusal
        raise _BlockRefused

    def finish(self) -> None:
        """Raise for the first check that any block broke.

        Raises:
            DataError: there is one.
        """
        if self._found:
            raise self._found[min(self._found)].error


class _BlockRefused(Exception):
    """Leaves the checks of a block."""


def refuse_duplicates(
    table: pl.DataFrame, keys: list[str], place: str, remedy: str, unit: Unit = "row"
) -> None:
    """Raise for the first row whose ``keys`` are those of a row before it."""
    first = table.select(pl.struct(keys).is_first_distinct()).to_series()

    def describe(row: int) -> str:
        values = table.row(row, named=True)
        same = table.select(pl.all_horizontal(pl.col(key) == values[key] for key in keys)).to_series()
        named = ", ".join(f"{key} {quote(values[key])}" for key in keys)
        return f"{named} is there already, on {unit} {same.arg_true()[0] + 1}"

    refuse(Check(~first, place, describe, remedy, unit=unit))
