"""Reader of lines without quotes, a block at a time: other separators than one character, and MovieLens."""

import re
from collections.abc import Iterator, Sequence

import numpy as np
import polars as pl

from ..core.errors import DataError, quote
from .checks import Checks
from .sources import Layout, Plain, Source, check_names

_BYTE_ORDER_MARKS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")
_CONTROL = {
    "latin-1": re.compile(rb"[\x00-\x08\x0b-\x1f\x7f-\x9f]"),
    "utf-8": re.compile(rb"[\x00-\x08\x0b-\x1f\x7f]"),
}


def blocks(source: Source, separator: str, layout: Layout) -> Iterator[pl.DataFrame]:
    """Read a table. Values are text, or null if they are empty. Blank lines are left out, unless the file is plain.

    Raises ``DataError`` if a line has too few or too many columns, or as `decoded` does.
    """
    names = list(layout.names or ())
    before, checks = 0, Checks(source.place, "line")
    for block in source.line_blocks(layout.size):
        text = decoded(source.place, block, layout.plain, before)
        lines = pl.Series([text.removesuffix("\n")]).str.split("\n").explode()
        rows = np.arange(before, before + len(lines))
        before += len(lines)
        if not names:
            names = lines[0].split(separator)
            if layout.names is None:
                lines, rows = lines[1:], rows[1:]
            else:
                names = numbers(names)
            check_names(source.place, names)
        if layout.plain is None:
            there = lines != ""
            lines, rows = lines.filter(there), rows[there.to_numpy()]
        checks.rows = rows
        fields = _split(lines, separator, names, checks)
        yield fields.select(pl.when(pl.all() != "").then(pl.all()))


def numbers(row: Sequence[str]) -> list[str]:
    """Return the names of the columns of a table that has none: 1, 2, …."""
    return [str(number) for number, _ in enumerate(row, 1)]


def _split(lines: pl.Series, separator: str, names: Sequence[str], checks: Checks) -> pl.DataFrame:
    found = lines.str.count_matches(separator, literal=True) + 1

    def describe(row: int) -> str:
        return f"{found[row]} instead of {len(names)} columns: {quote(lines[row])}"

    checks.refuse(found != len(names), describe, f"a line is {separator.join(names)}")
    return lines.str.splitn(separator, len(names)).struct.rename_fields(names).struct.unnest()


def decoded(place: str, data: bytes, plain: Plain | None = None, before: int = 0) -> str:
    """Decode whole lines of the file `place`; `before` lines come before them. In the result, lines end in a line feed.

    Raises ``DataError`` if they are in another encoding, which would garble titles silently, or if a plain file has a
    byte order mark or control characters.
    """
    data = data.replace(b"\r\n", b"\n")

    def error(what: str, position: int) -> DataError:
        line = before + data.count(b"\n", 0, position) + 1
        remedy = f"convert the file to {plain}, for example with iconv" if plain else "set ingest.encoding"
        return DataError(what, f"{place}, line {line}", remedy)

    if plain and data.startswith(_BYTE_ORDER_MARKS):
        raise error("starts with a Unicode byte order mark", 0)
    try:
        text = data.decode("utf-8" if before else "utf-8-sig")
    except UnicodeDecodeError as problem:
        if plain != "latin-1":
            raise error("is not UTF-8", problem.start) from None
        text = data.decode("latin-1")
    else:
        if plain == "latin-1" and (beyond := re.search(rb"[^\x00-\x7f]", data)):
            raise error("is encoded in UTF-8", beyond.start())
    if plain and (control := _CONTROL[plain].search(data)):
        raise error(f"has the control character 0x{control[0].hex()}", control.start())
    return text
