"""Checks of the rows of a table; a refusal names the first bad row and the number of further ones."""

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
    """The bad rows of one check: what is wrong with the first, its number from 0, and how many there are."""

    what: str
    row: int
    count: int
    remedy: str
    column: str | None = None


class Origin:
    """The files whose rows, one file after the other, are numbered from 0.

    `user` and `item` are the names of the columns of users and items, `unit` that of a row, for messages.
    """

    def __init__(self, place: str | None = None, user: str = "user", item: str = "item", unit: Unit = "row"):
        self.user, self.item, self.unit = user, item, unit
        self._files: list[tuple[int, str]] = [] if place is None else [(0, place)]

    def add(self, place: str, start: int) -> None:
        """Add the next file; its first row has the number `start`."""
        self._files.append((start, place))

    def find(self, row: int) -> tuple[str, int]:
        """Return the file of a row, and the row's number there, from 0."""
        start, place = next(file for file in reversed(self._files) if file[0] <= row)
        return place, row - start

    def error(self, refusal: Refusal) -> DataError:
        """Return the message of a refusal; it counts rows from 1."""
        place, row = self.find(refusal.row)
        column = f", column {refusal.column}" if refusal.column else ""
        more = f" (and {refusal.count - 1:,} more {self.unit}s)" if refusal.count > 1 else ""
        return DataError(refusal.what + more, f"{place}, {self.unit} {row + 1}{column}", refusal.remedy)


class Checks:
    """Checks of a table. Of a table in memory, the first bad row is an error.

    A table that is read in blocks gets the message that the whole table would get. Every `block` gets the same checks
    in the same order, and is left at the first check that it breaks. Later blocks are still checked: they may break an
    earlier check, or have further bad rows. `finish` raises the error.
    """

    def __init__(self, origin: Origin) -> None:
        self.origin = origin
        self._check = 0
        self._rows: NDArray[np.int64] | None = None
        self._found: dict[int, list[Refusal]] = {}

    @contextmanager
    def block(self, rows: NDArray[np.int64]) -> Iterator[None]:
        """Check the next block, whose rows have these numbers, int64 [rows]; a refusal leaves the `with` block."""
        self._check, self._rows = 0, rows
        with suppress(_BlockRefused):
            yield

    def refuse(
        self, bad: pl.Series, describe: Callable[[int], str], remedy: str, column: str | None = None
    ) -> None:
        """Refuse a table, or leave the block, if there is a bad row.

        Args:
            bad: boolean, one value per row; null counts as false.
            describe: returns what is wrong with the row of that index.
            remedy: what to do about it.
            column: the column's name in the file.

        Raises:
            DataError: there is a bad row, and the table is in memory.
        """
        self._check += 1
        places = bad.arg_true()
        if not len(places):
            return
        refusal = Refusal(describe(places[0]), places[0], len(places), remedy, column)
        if self._rows is None:
            raise self.origin.error(refusal)
        refusal.row = int(self._rows[refusal.row])
        self._found.setdefault(self._check, []).append(refusal)
        raise _BlockRefused

    def finish(self) -> None:
        """Raise ``DataError`` for the first row that breaks the first of the checks that blocks broke, if any did."""
        if self._found:
            found = self._found[min(self._found)]
            first = min(found, key=lambda refusal: refusal.row)
            first.count = sum(refusal.count for refusal in found)
            raise self.origin.error(first)


class _BlockRefused(Exception):
    """Leaves a block."""


def refuse_duplicates(ids: pl.Series, place: str, remedy: str, unit: Unit = "row") -> None:
    """Raise ``DataError`` for the first row whose id is that of an earlier row."""

    def describe(row: int) -> str:
        first = (ids == ids[row]).arg_true()[0]
        return f"{ids.name} {quote(ids[row])} is there already, on {unit} {first + 1}"

    Checks(Origin(place, unit=unit)).refuse(~ids.is_first_distinct(), describe, remedy)
