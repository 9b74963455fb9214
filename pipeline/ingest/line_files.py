"""Reader of text whose columns several characters separate (`::`), a block of lines at a time; it knows no quotes."""

from collections.abc import Iterator

import polars as pl

from ..core.errors import DataError
from .checks import Check, Refuse, quote, refuse
from .sources import Source
from .tables import Layout, check_names


def blocks(source: Source, layout: Layout) -> Iterator[pl.DataFrame]:
    """Read a table; values are text, null where nothing stands between two separators.

    Raises:
        DataError: it is not in its encoding, or a line has too few or too many columns.
    """
    assert layout.separator is not None
    names: list[str] = []
    before = 0
    for block in source.line_blocks(layout.size):
        try:
            text = block.decode("utf-8-sig" if before == 0 else "utf-8")
        except UnicodeDecodeError as error:
            line = before + block.count(b"\n", 0, error.start) + 1
            what = "is not UTF-8"
            raise DataError(what, f"{source.place}, line {line}", "set ingest.encoding") from None
        lines = pl.Series(text.removesuffix("\n").split("\n")).str.strip_chars_end("\r")
        before += len(lines)
        if not names and len(lines):
            first = lines[0].split(layout.separator)
            names = first if layout.header else [str(number + 1) for number in range(len(first))]
            check_names(source.place, names)
            lines = lines[1:] if layout.header else lines
        fields = split_lines(lines.filter(lines != ""), layout.separator, names, source.place)
        yield fields.select(pl.when(pl.all() != "").then(pl.all()))


def split_lines(
    lines: pl.Series, separator: str, names: list[str], place: str, refuse: Refuse = refuse
) -> pl.DataFrame:
    """Split lines into columns of text.

    Raises:
        DataError: a line has too few or too many.
    """
    layout = f"a line is {separator.join(names)}"
    found = lines.str.count_matches(separator, literal=True) + 1

    def describe(row: int) -> str:
        return f"{found[row]} instead of {len(names)} columns: {quote(lines[row])}"

    refuse(Check(found != len(names), place, describe, layout, unit="line"))
    return lines.str.splitn(separator, len(names)).struct.rename_fields(names).struct.unnest()
