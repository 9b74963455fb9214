"""Timestamps of any kind as numbers that sort as they do, a block of the column at a time."""

from datetime import UTC, datetime, timedelta

import polars as pl

from ..errors import DataError
from .checks import Check, Refuse, quote
from .table_files import as_text

_EXACT = 2**53
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_REMEDY = "write numbers, dates, or ISO 8601 such as 2001-12-31T23:59:59, the same way in all rows"


class FractionFound(Exception):
    """A number is not a whole one: the column is to be read again, as fractions."""


class Timestamps:
    """Reader of a column of timestamps: whole numbers, fractions, dates, or texts of one of those.

    The numbers of a column are int64 if all are whole, else float64: only its last row can say. So it is read as whole
    numbers until one is found that is not. Dates and datetimes count in their own unit since 1970, in UTC where no zone
    is named; written ones in microseconds.

    Args:
        place: the file.
        fractions: read numbers as float64.
    """

    def __init__(self, place: str, fractions: bool) -> None:
        self._place, self._fractions = place, fractions
        self._dates: bool | None = None
        """Whether texts are dates, as the first is."""

    def read(self, values: pl.Series, refuse: Refuse) -> pl.Series:
        """Return the next block as numbers.

        Raises:
            DataError: the column is of another type.
            FractionFound: numbers are read as whole ones, and one is not.
        """
        kind = values.dtype
        moments = kind in (pl.Date, pl.Datetime)
        if not (kind.is_integer() or kind.is_float() or moments or kind in (pl.String, pl.Null)):
            raise DataError(f"type is {kind}", f"{self._place}, column {values.name}", _REMEDY)
        refuse(
            Check(
                as_text(values).is_null(),
                self._place,
                lambda _: "a timestamp is missing",
                _REMEDY,
                values.name,
            )
        )
        if moments:
            return values.to_physical().cast(pl.Int64)
        if kind != pl.String:
            return self._numbers(values, refuse)
        texts = values.str.strip_chars()
        first = self._dates is None
        if self._dates is None:
            self._dates = texts[:1].cast(pl.Float64, strict=False).has_nulls()
        return self._moments(texts, refuse, first) if self._dates else self._numbers(texts, refuse)

    def _numbers(self, values: pl.Series, refuse: Refuse) -> pl.Series:
        if not (self._fractions or values.dtype.is_float()):
            whole = values.cast(pl.Int64, strict=False)
            if whole.has_nulls():
                raise FractionFound
            return whole
        numbers = values.cast(pl.Float64, strict=False)
        bad = ~(numbers.is_finite() & (numbers.abs() < _EXACT)).fill_null(False)

        def describe(row: int) -> str:
            problem = (
                "is not a number, as that of row 1 is" if numbers[row] is None else "is too large to be exact"
            )
            return f"{quote(values[row])} {problem}"

        refuse(Check(bad, self._place, describe, _REMEDY, values.name))
        return numbers

    def _moments(self, texts: pl.Series, refuse: Refuse, first: bool) -> pl.Series:
        moments = pl.Series([_microseconds(text) for text in texts], dtype=pl.Int64)

        def describe(row: int) -> str:
            alone = first and row == 0
            wanted = (
                "a number, nor a date in ISO 8601" if alone else "a date in ISO 8601, as that of row 1 is"
            )
            return f"{quote(texts[row])} is not {wanted}"

        refuse(Check(moments.is_null(), self._place, describe, _REMEDY, texts.name))
        return moments


def _microseconds(text: str) -> int | None:
    """Return the microseconds since 1970 of a date or datetime in ISO 8601; None: it is none."""
    try:
        moment = datetime.fromisoformat(text)
        return ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - _EPOCH) // timedelta(
            microseconds=1
        )
    except (ValueError, OverflowError):
        return None
