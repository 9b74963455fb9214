"""Timestamps of any kind as numbers that sort as they do, a block of the column at a time."""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import polars as pl

from ..core.errors import DataError
from .checks import Check, Refuse, quote
from .table_files import as_text

_EXACT = 2**53
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_REMEDY = "write numbers, dates, or ISO 8601 such as 2001-12-31T23:59:59, the same way in all rows"


_FRACTION = re.compile(r"(?<=\d)[.,](\d+)")
_CERTAIN = 15
"""Characters up to which any two different numbers are different in float64."""


class FinerFound(Exception):
    """A number is no whole one, or a time has nanoseconds: the column is to be read again, as finer."""


class Timestamps:
    """Reader of a column of timestamps: whole numbers, fractions, dates, or texts of one of those.

    The numbers of a column are int64 if all are whole, else float64: only its last row can say. So it is read as whole
    numbers until one is found that is not. Dates and datetimes count in their own unit since 1970, in UTC where no zone
    is named; written ones in microseconds, or in nanoseconds if one of them needs it. No value is rounded: one that
    cannot be held is refused.

    Args:
        fine: read numbers as float64, and written times in nanoseconds.
    """

    def __init__(self, fine: bool) -> None:
        self._fine = fine
        self._dates: bool | None = None
        """Whether texts are dates, as the first is."""

    def read(self, values: pl.Series, place: str, refuse: Refuse) -> pl.Series:
        """Return the next block, of the file `place`, as numbers.

        Raises:
            DataError: the column is of another type.
            FinerFound: `fine` is false, and a value needs it.
        """
        kind = values.dtype
        moments = kind in (pl.Date, pl.Datetime)
        if not (kind.is_integer() or kind.is_float() or moments or kind in (pl.String, pl.Null)):
            raise DataError(f"type is {kind}", f"{place}, column {values.name}", _REMEDY)
        refuse(
            Check(
                as_text(values).is_null(),
                place,
                lambda _: "a timestamp is missing",
                _REMEDY,
                values.name,
            )
        )
        if moments:
            return values.to_physical().cast(pl.Int64)
        if kind != pl.String:
            return self._numbers(values, place, refuse)
        texts = values.str.strip_chars()
        first = self._dates is None
        if self._dates is None:
            self._dates = texts[:1].cast(pl.Float64, strict=False).has_nulls()
        if self._dates:
            return self._moments(texts, place, refuse, first)
        return self._numbers(texts, place, refuse)

    def _numbers(self, values: pl.Series, place: str, refuse: Refuse) -> pl.Series:
        if not self._fine:
            whole = values.cast(pl.Int64, strict=False)
            if values.dtype.is_float() or whole.has_nulls():
                raise FinerFound
            return whole
        numbers = values.cast(pl.Float64, strict=False)
        bad = ~(numbers.is_finite() & (numbers.abs() < _EXACT)).fill_null(False)
        if values.dtype == pl.String:
            bad |= pl.Series([_is_rounded(text) for text in values], dtype=pl.Boolean)

        def describe(row: int) -> str:
            problem = "is too large to be exact, or has too many digits"
            if numbers[row] is None:
                problem = "is not a number, as the first one is"
            return f"{quote(values[row])} {problem}"

        refuse(Check(bad, place, describe, _REMEDY, values.name))
        return numbers

    def _moments(self, texts: pl.Series, place: str, refuse: Refuse, first: bool) -> pl.Series:
        nanoseconds = [_nanoseconds(text) for text in texts]
        if self._fine:
            held = [None if time is None or abs(time) >= 2**63 else time for time in nanoseconds]
        elif any(time is not None and time % 1000 for time in nanoseconds):
            raise FinerFound
        else:
            held = [None if time is None else time // 1000 for time in nanoseconds]
        moments = pl.Series(held, dtype=pl.Int64)

        def describe(row: int) -> str:
            alone = first and row == 0
            wanted = (
                "a number, nor a date in ISO 8601" if alone else "a date in ISO 8601, as the first one is"
            )
            return f"{quote(texts[row])} is not {wanted}"

        refuse(Check(moments.is_null(), place, describe, _REMEDY, texts.name))
        return moments


def _nanoseconds(text: str) -> int | None:
    """Return the nanoseconds since 1970 of a date or datetime in ISO 8601; None: it is none, or finer than that."""
    fraction = _FRACTION.search(text)
    digits = fraction[1] if fraction else ""
    if digits[9:].strip("0"):
        return None
    whole = text if fraction is None else text[: fraction.start()] + text[fraction.end() :]
    try:
        moment = datetime.fromisoformat(whole)
        since = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - _EPOCH
    except (ValueError, OverflowError):
        return None
    return since // timedelta(microseconds=1) * 1000 + int(digits[:9].ljust(9, "0"))


def _is_rounded(text: str | None) -> bool:
    """Whether float64 would hold another number than the text says, so that two of them might become equal."""
    if text is None or len(text) <= _CERTAIN:
        return False
    try:
        return Decimal(text) != Decimal(repr(float(text)))
    except (ArithmeticError, ValueError):
        return False  # it is no number, which is refused as such
