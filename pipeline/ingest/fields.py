"""Typed columns of a known layout: texts, some of a few values, and numbers within bounds."""

from dataclasses import dataclass

import polars as pl

from .checks import Check, Refuse, Unit, quote, refuse
from .line_files import split_lines

REMEDY = "correct the file, or fetch the archive again"


@dataclass(frozen=True)
class Text:
    """A text column; ``allowed`` lists its values where they are few."""

    name: str
    allowed: tuple[str, ...] = ()


@dataclass(frozen=True)
class Number:
    """A column of numbers from ``low`` to ``high``: int64 if ``step`` is 1, else float64 multiples of it."""

    name: str
    low: float
    high: float
    remedy: str = REMEDY
    step: float = 1

    @property
    def wanted(self) -> str:
        """What a value must be, for messages."""
        kind = "a whole number" if self.step == 1 else f"a multiple of {self.step}"
        return f"{kind} from {self.low} to {self.high}"


Field = Text | Number


def id_field(name: str) -> Number:
    """Return a column of ids."""
    return Number(name, 1, 2**31 - 1)


def typed(
    rows: pl.Series | pl.DataFrame,
    fields: tuple[Field, ...],
    place: str,
    separator: str = "",
    refuse: Refuse = refuse,
) -> pl.DataFrame:
    """Return rows with the types of their fields.

    Args:
        rows: lines, or a table of text.
        fields: what they are to be; a table may have further columns.
        place: the file.
        separator: of a line.
        refuse: what refuses rows.

    Raises:
        DataError: a line has too few or too many columns, or a value is not as it must be.
    """
    unit: Unit = "row"
    if isinstance(rows, pl.Series):
        rows, unit = split_lines(rows, separator, [field.name for field in fields], place, refuse), "line"
    return pl.DataFrame(
        [_typed(rows[field.name].fill_null(""), field, place, unit, refuse) for field in fields]
    )


def _typed(texts: pl.Series, field: Field, place: str, unit: Unit, refuse: Refuse) -> pl.Series:
    if isinstance(field, Number):
        values = texts.cast(pl.Int64 if field.step == 1 else pl.Float64, strict=False)
        remedy, wanted = field.remedy, field.wanted
        good = values.is_between(field.low, field.high) & (values % field.step == 0)
        bad = ~good.fill_null(False)
    elif field.allowed:
        values, remedy, wanted = texts, REMEDY, f"one of {', '.join(field.allowed)}"
        bad = ~texts.is_in(field.allowed)
    else:
        return texts
    refuse(Check(bad, place, lambda row: f"{quote(texts[row])} is not {wanted}", remedy, field.name, unit))
    return values
