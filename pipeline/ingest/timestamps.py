"""Timestamps of any kind as numbers in the same order, a block of the column at a time."""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import polars as pl

from ..core.errors import DataError, ParamsError, quote
from .checks import Checks
from .table_files import EXACT, as_text

_CERTAIN = 15
"""Characters up to which two different numbers are different in float64."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_REMEDY = (
    "write numbers, dates, or ISO 8601 such as 2001-12-31T23:59:59, the same way in all rows, or say how dates are"
    " written: ingest.time_format, such as '%d.%m.%Y %H:%M'"
)
_FORMAT = "params.yaml, key ingest.time_format"
_FRACTION = re.compile(r"(?<=\d)[.,](\d+)")


class FinerFound(Exception):
    """A number is not whole, or a time has nanoseconds: the column must be read again with `fine`."""


class Timestamps:
    """Reader of a column of whole numbers, fractions or dates; texts may hold any of these.

    The numbers are int64 if all are whole, else float64. Only the last row can tell, so the column is first read as
    whole numbers. Dates and datetimes count in their own unit since 1970, in UTC if they have no zone. Dates in texts
    count in microseconds, or in nanoseconds if one needs them. A value that would be rounded is refused. If `fine`,
    numbers are read as float64, and dates in texts in nanoseconds.

    With a format, such as "%d.%m.%Y %H:%M", texts and whole numbers are dates written so, to the microsecond.
    """

    def __init__(self, fine: bool, form: str | None = None) -> None:
        self._fine, self._form = fine, form
        self._dates: bool | None = None
        """Whether texts are dates; the first text decides."""

    def read(self, values: pl.Series, checks: Checks) -> pl.Series:
        """Return the next block as numbers.

        Raises ``DataError`` if the column is of another type, and ``FinerFound`` if a value needs `fine`.
        """
        kind, name = values.dtype, values.name
        moments = kind in (pl.Date, pl.Datetime)
        if not (kind.is_integer() or kind.is_float() or moments or kind in (pl.String, pl.Null)):
            raise DataError(f"type is {kind}", f"{checks.place}, column {name}", _REMEDY)
        checks.refuse(as_text(values).is_null(), lambda _: "a timestamp is missing", _REMEDY, name)
        if moments:
            return values.to_physical().cast(pl.Int64)
        if self._form is not None:
            return self._formatted(as_text(values), self._form, checks)
        if kind != pl.String:
            return self._numbers(values, checks)
        values, first = values.str.strip_chars(), self._dates is None
        if self._dates is None:
            self._dates = values[:1].cast(pl.Float64, strict=False).has_nulls()
        return self._moments(values, checks, first) if self._dates else self._numbers(values, checks)

    def _numbers(self, values: pl.Series, checks: Checks) -> pl.Series:
        if not self._fine:
            whole = values.cast(pl.Int64, strict=False)
            if values.dtype.is_float() or whole.has_nulls():
                raise FinerFound
            return whole
        numbers = values.cast(pl.Float64, strict=False)
        bad = ~(numbers.is_finite() & (numbers.abs() < EXACT)).fill_null(False)
        if values.dtype == pl.String:
            bad |= pl.Series([_is_rounded(text) for text in values], dtype=pl.Boolean)

        def describe(row: int) -> str:
            if numbers[row] is None:
                return f"{quote(values[row])} is not a number, as the first one is"
            return f"{quote(values[row])} is too large to be exact, or has too many digits"

        checks.refuse(bad, describe, _REMEDY, values.name)
        return numbers

    def _formatted(self, texts: pl.Series, form: str, checks: Checks) -> pl.Series:
        try:
            moments = texts.str.strip_chars().str.to_datetime(form, time_unit="us", strict=False)
        except pl.exceptions.PolarsError as error:
            what = f"{quote(form)} is not a format of times ({str(error).splitlines()[0]})"
            raise ParamsError(what, _FORMAT, "write one such as '%d.%m.%Y %H:%M'") from None
        checks.refuse_values(moments.is_null(), texts, f"is not {quote(form)}", f"correct {_FORMAT}")
        return moments.to_physical()

    def _moments(self, texts: pl.Series, checks: Checks, first: bool) -> pl.Series:
        times = [_nanoseconds(text) for text in texts]
        if not self._fine and any(time is not None and time % 1000 for time in times):
            raise FinerFound
        unit = 1 if self._fine else 1000
        held = [None if time is None or abs(time // unit) >= 2**63 else time // unit for time in times]
        moments = pl.Series(held, dtype=pl.Int64)

        def describe(row: int) -> str:
            is_first = first and row == 0
            wanted = (
                "a number or a date in ISO 8601" if is_first else "a date in ISO 8601, as the first one is"
            )
            return f"{quote(texts[row])} is not {wanted}"

        checks.refuse(moments.is_null(), describe, _REMEDY, texts.name)
        return moments


def _nanoseconds(text: str) -> int | None:
    """Return the nanoseconds since 1970 of an ISO 8601 date or datetime; None: it is another text, or finer."""
    fraction = _FRACTION.search(text)
    digits = fraction[1] if fraction else ""
    if digits[9:].strip("0"):
        return None
    try:
        moment = datetime.fromisoformat(_FRACTION.sub("", text, count=1))
        since = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - _EPOCH
    except (ValueError, OverflowError):
        return None
    return since // timedelta(microseconds=1) * 1000 + int(digits[:9].ljust(9, "0"))


def _is_rounded(text: str | None) -> bool:
    """Say whether float64 rounds the number in a text: two different texts might become equal."""
    if text is None or len(text) <= _CERTAIN:
        return False
    try:
        return Decimal(text) != Decimal(repr(float(text)))
    except (ArithmeticError, ValueError):
        return False  # not a number, which is refused as such
