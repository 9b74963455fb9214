"""Timestamps of any kind as numbers in the same order, a block of the column at a time."""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import polars as pl

from ..core.errors import DataError, ParamsError, quote
from .checks import Checks
from .table_files import EXACT, as_text, not_missing_sql, sql_name

_CERTAIN = 15  # characters up to which two different numbers are different in float64
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_REMEDY = (
    "write numbers, dates, or ISO 8601 such as 2001-12-31T23:59:59, the same way in all rows, or say how dates are"
    " written: ingest.time_format, such as '%d.%m.%Y %H:%M'"
)
_FORMAT = "params.yaml, key ingest.time_format"
_NANOSECONDS = {"days": 86_400 * 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
"""Length of the units in which columns of dates count."""
_DAY = r"^(19\d\d|20\d\d|2100)(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])$"
"""A date written as a whole number; as seconds since 1970, it would be a day of August 1970."""
_FRACTION = re.compile(r"(?<=\d)[.,](\d+)")


class FinerFound(Exception):
    """A number is not whole, or a time has nanoseconds: the column must be read again with `fine`."""


class Timestamps:
    """Reader of a column of whole numbers, fractions or dates; texts may hold any of these.

    The numbers are int64 if all are whole, else float64. Only the last row can tell, so the column is first read as
    whole numbers. Dates, datetimes and dates in texts count in microseconds since 1970, or in nanoseconds if one needs
    them, in UTC if they have no zone. A value that would be rounded is refused. If `fine`, numbers are read as float64,
    and dates in nanoseconds.

    With a format, such as "%d.%m.%Y %H:%M", texts and whole numbers are dates written so, to the microsecond. Raises
    ``ParamsError`` if the format has names of zones, which would be ignored.
    """

    def __init__(self, fine: bool, form: str | None = None) -> None:
        self._fine, self._form = fine, form
        self._dates: bool | None = None  # whether the column holds dates; the first value decides
        if form is not None and "%Z" in form.replace("%%", ""):
            remedy = "write %z and offsets such as +0200; if all times are UTC, write the zone itself, as in"
            remedy += " '%Y-%m-%d %H:%M:%S UTC'"
            raise ParamsError(f"{quote(form)} has %Z, but names of zones are not read", _FORMAT, remedy)

    def read(self, values: pl.Series, checks: Checks) -> pl.Series:
        """Return the next block as numbers.

        Raises ``DataError`` if the column is of another type, and ``FinerFound`` if a value needs `fine`.
        """
        kind, place = values.dtype, f"{checks.place}, column {values.name}"
        moments = kind in (pl.Date, pl.Datetime)
        if not (kind.is_integer() or kind.is_float() or moments or kind in (pl.String, pl.Null)):
            raise DataError(f"type is {kind}", place, _REMEDY)
        texts = values if moments else as_text(values).str.strip_chars()
        if kind.is_float():
            texts = texts.str.strip_suffix(".0")
        missing = texts.is_null()
        remedy = _REMEDY + _leaving_out(values.filter(missing))
        checks.refuse(missing, lambda _: "a timestamp is missing", remedy, values.name)
        first, dates = self._dates is None, moments or self._form is not None
        if kind == pl.String and not dates:
            values = texts
            dates = values[:1].cast(pl.Float64, strict=False).has_nulls() if first else bool(self._dates)
        if first:
            self._dates = dates
        if dates != self._dates:
            kinds = ("numbers", "dates")
            what = f"holds {kinds[dates]}, but the rows before hold {kinds[not dates]}"
            raise DataError(what, place, "write all times of the table as dates, or all as numbers of one unit")
        if moments:
            return self._in_unit(values, checks)
        if self._form is not None:
            return self._formatted(texts, self._form, checks)
        if dates:
            return self._moments(values, checks, first)
        if first and texts.str.contains(_DAY).all():
            what = f"numbers such as {texts[0]} are dates (year, month, day), not units of time"
            raise DataError(what, place, 'say how they are written: ingest.time_format: "%Y%m%d"')
        return self._numbers(values, checks)

    def _in_unit(self, moments: pl.Series, checks: Checks) -> pl.Series:
        """Return dates or datetimes in microseconds, or in nanoseconds if `fine`."""
        kind = moments.dtype
        unit = kind.time_unit if isinstance(kind, pl.Datetime) else "days"
        # Polars' own conversions overflow silently, and its texts of such dates panic.
        whole, length = moments.to_physical().cast(pl.Int64), 1 if self._fine else 1000
        if _NANOSECONDS[unit] < length:
            if (whole % length != 0).any():
                raise FinerFound
            return whole // length
        factor = _NANOSECONDS[unit] // length
        largest, smaller = (2**63 - 1) // factor, "nanoseconds" if self._fine else "microseconds"
        what = f"{unit} since 1970 does not fit, in {smaller}, into 64 bits"
        remedy = "correct it" + ", or write all times of the table without nanoseconds" * self._fine
        bad = ~whole.is_between(-largest, largest)
        checks.refuse(bad, lambda row: f"a time {whole[row]:,} {what}", remedy, moments.name)
        return whole * factor

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

        checks.refuse(bad, describe, _REMEDY + _leaving_out(values.filter(bad)), values.name)
        return numbers

    def _formatted(self, texts: pl.Series, form: str, checks: Checks) -> pl.Series:
        try:
            moments = texts.str.to_datetime(form, time_unit="us", strict=False)
        except pl.exceptions.PolarsError as error:
            what = f"{quote(form)} is not a format of times ({str(error).splitlines()[0]})"
            raise ParamsError(what, _FORMAT, "write one such as '%d.%m.%Y %H:%M'") from None
        bad = moments.is_null()
        remedy = f"correct {_FORMAT}{_leaving_out(texts.filter(bad))}"
        checks.refuse_values(bad, texts, f"is not {quote(form)}", remedy)
        return self._in_unit(moments, checks)

    def _moments(self, texts: pl.Series, checks: Checks, first: bool) -> pl.Series:
        # A number may look like a date: 1612010112345 as the first of January 1612, 23:45.
        others = texts.set(texts.cast(pl.Float64, strict=False).is_not_null(), "")
        times = [_nanoseconds(text) for text in others]
        if not self._fine and any(time is not None and time % 1000 for time in times):
            raise FinerFound
        unit = 1 if self._fine else 1000
        held = [None if time is None or abs(time // unit) >= 2**63 else time // unit for time in times]
        moments = pl.Series(held, dtype=pl.Int64)
        bad = moments.is_null()
        is_first = first and bad[0]
        wanted = "a number or a date in ISO 8601" if is_first else "a date in ISO 8601, as the first one is"
        checks.refuse_values(bad, texts, f"is not {wanted}", _REMEDY + _leaving_out(texts.filter(bad)))
        return moments


def _leaving_out(refused: pl.Series) -> str:
    """Return how `ingest.where` leaves out rows such as the first of these values; empty if it stands for a time."""
    if not len(refused):
        return ""
    value = refused[0]
    if value is None or value != value or (isinstance(value, str) and not value.strip()):  # != : NaN
        condition = not_missing_sql(refused)
    elif not isinstance(value, str) or len(value) > 60 or re.search(r"\d", value):
        return ""
    else:
        literal = value.replace("'", "''")
        condition = f"TRIM({sql_name(refused)}) <> '{literal}'"
    quoted = condition.replace("'", "''")  # for YAML
    return f"; or leave such rows out: ingest.where: '{quoted}'"


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
