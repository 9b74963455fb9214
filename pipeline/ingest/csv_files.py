"""Reader of text with separated columns (CSV, TSV, RecBole's atomic files, `::`), a block at a time."""

import csv
import re
import sys
from collections.abc import Iterator
from functools import cache, partial

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.csv as pc

from ..core.errors import DataError, NoRowsError, quote
from .checks import Checks
from .sources import Layout, Plain, Source, check_names

# The separators that the reader can detect.
SEPARATORS = {",": "a comma", "\t": "a tab", ";": "a semicolon", "|": "a bar", "::": "two colons"}
NULLS = ["", "\\N"]  # values that are missing: empty ones, and what PostgreSQL and MySQL write for NULL

_REMEDY = (
    "write the table as UTF-8 (or set ingest.encoding, e.g. to cp1252), with a line of column names, one separator,"
    " and quotes round a value that contains it"
)
_SAMPLE, _LINES = 2**16, 10  # bytes and lines of a file from which its separator is found out
_BYTE_ORDER_MARKS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")
_CONTROL = {
    "latin-1": re.compile(rb"[\x00-\x08\x0b-\x1f\x7f-\x9f]"),
    "utf-8": re.compile(rb"[\x00-\x08\x0b-\x1f\x7f]"),
}


def blocks(source: Source, layout: Layout) -> Iterator[pl.DataFrame]:
    """Read a table. Values are text, or null if they are one of `NULLS`.

    Raises ``DataError`` if it is damaged or in another encoding, a row has too few or too many columns, a column has no
    name of its own, or a quote is not closed.
    """
    separator = _separator(source, layout)
    if layout.plain or len(separator.encode()) > 1:  # Arrow's separators are one byte
        yield from _unquoted(source, separator, layout)
        return
    row, end = _first_row(source, separator)
    names, header = _names(source.place, row, layout), 0 if layout.unnamed else end
    count, read, skipped = cache(partial(_count_rows, source, separator, layout)), 0, header
    for text in source.line_blocks(layout.size) if layout.one_line else [b"".join(source.line_blocks(layout.size))]:
        try:
            table = _parsed(text, names, skipped, separator)
        except pa.ArrowInvalid as error:
            count()  # it knows more about an unclosed quote
            raise _csv_error(source.place, str(error), read - skipped) from None
        read, skipped = read + len(table), max(0, skipped - text.count(b"\n"))
        block = pl.DataFrame({name: pl.Series(table[name]) for name in names})
        if layout.one_line and block.select(pl.any_horizontal(pl.all().str.contains(r"[\r\n]").any())).item():
            count()  # refuses the quote, before a check refuses the value
        yield block
        count()  # only now: the first block alone is ready soon, whatever the size of the file
    expected = count() - (header > 0)
    if read != expected:
        raise DataError(f"has {expected:,} rows, of which {read:,} could be read", source.place, _REMEDY)
    if not read:
        raise NoRowsError("table has no rows", source.place, "use one that has")


def _parsed(text: bytes, names: list[str], skipped: int, separator: str) -> pa.Table:
    """Return the rows of a text behind the skipped lines. No thread reads on when the process ends."""
    reading = pc.ReadOptions(use_threads=False, column_names=names, skip_rows=skipped, block_size=len(text))
    parsing = pc.ParseOptions(delimiter=separator, newlines_in_values=True)
    texts = pa.schema([(name, pa.string()) for name in names])
    converting = pc.ConvertOptions(column_types=texts, null_values=NULLS, strings_can_be_null=True)
    try:
        return pc.read_csv(pa.BufferReader(text), reading, parsing, converting)
    except pa.ArrowInvalid as error:
        if "Could not skip" in str(error) or "Empty CSV" in str(error):
            return texts.empty_table()
        raise


def _separator(source: Source, layout: Layout) -> str:
    """Return the given separator if the first line has it, else the only one that may separate the columns."""
    given = layout.separator
    if layout.plain and given:
        return given
    if source.suffix in (".tsv", ".inter", ".item"):
        return "\t"
    with source.open() as file:
        text = file.read(_SAMPLE).decode("utf-8-sig", "replace")
    whole = text if len(text) < _SAMPLE else text[: text.rfind("\n") + 1]
    lines = [line for line in whole.splitlines() if line][:_LINES]
    if not lines or (given is not None and given in lines[0]):
        return given or ","
    found = [separator for separator in SEPARATORS if _widths(lines[:1], separator)[0] > 1]
    if len(found) > 1:
        found = [separator for separator in found if len(set(_widths(lines, separator))) == 1] or found
    if len(found) > 1:
        what = f"columns can be separated by {' or by '.join(SEPARATORS[one] for one in found)}"
        raise DataError(what, source.place, f"set ingest.separator, e.g. to {found[0]!r}")
    return found[0] if found else ","


def _widths(lines: list[str], separator: str) -> list[int]:
    if len(separator.encode()) > 1:
        return [line.count(separator) + 1 for line in lines]
    try:
        return [len(row) for row in csv.reader(lines, delimiter=separator)]
    except csv.Error:
        return [0]


def _first_row(source: Source, separator: str) -> tuple[list[str], int]:
    """Return the values of the first row that is not blank, and the number of lines up to its end."""
    with source.lines() as file:
        reader = csv.reader(file, delimiter=separator)
        try:
            row = next((row for row in reader if row), [])
            "".join(row).encode()
        except (UnicodeEncodeError, csv.Error) as error:
            unnamed = f"has no line of column names ({error})"
            what = "is not UTF-8" if isinstance(error, UnicodeError) else unnamed
            raise DataError(what, f"{source.place}, line 1", _REMEDY) from None
    if not row:
        raise NoRowsError("file is empty", source.place, "check the path, or write the file again")
    return row, reader.line_num


def _names(place: str, row: list[str], layout: Layout) -> list[str]:
    """Return the names of the columns, given the first row."""
    names = [str(number) for number, _ in enumerate(row, 1)] if layout.unnamed else row
    check_names(place, names)
    return names


def _count_rows(source: Source, separator: str, layout: Layout) -> int:
    """Count the rows, with the line of column names, by another parser than the one that reads them.

    Else an unclosed quote would silently turn all rows up to the next quote into one value. Raises ``DataError`` if a
    quote is not closed or stands within a value, or, where a row takes one line, if a value holds line ends.
    """
    remedy = 'write "" for a quote within a value, and quotes round it'
    quoted = any(b'"' in block for block in source.line_blocks(2**20))
    with source.lines() as file:
        if not quoted:
            return sum(1 for line in file if line.strip("\r\n"))
        rows, end, limit = 0, 0, csv.field_size_limit(sys.maxsize)
        reader = csv.reader(file, delimiter=separator, strict=True)
        try:
            for row in reader:
                if layout.one_line and reader.line_num > end + 1 and rows:
                    what = f"a quoted value goes on to line {reader.line_num}, and swallows the rows between"
                    raise DataError(what, f"{source.place}, line {end + 1}", remedy)
                rows, end = rows + bool(row), reader.line_num
        except csv.Error as error:
            what = f"a quote is never closed, or stands within a value ({error})"
            number = rows + layout.unnamed  # of the row; 0: the line of names
            place = f"{source.place}, row {number}" if number else source.place
            raise DataError(what, f"{place}, line {end + 1}", remedy) from None
        finally:
            csv.field_size_limit(limit)
    return rows


def _csv_error(place: str, message: str, before: int) -> DataError:
    """Return Arrow's message with the number of the row in the table, `before` later than in the text."""
    if number := re.search(r"Row #(\d+): ", message):
        message, place = message[number.end() :], f"{place}, row {int(number[1]) + before}"
    what = "is not UTF-8" if "invalid UTF8" in message else message
    return DataError(what if len(what) <= 120 else what[:117] + "...", place, _REMEDY)


def _unquoted(source: Source, separator: str, layout: Layout) -> Iterator[pl.DataFrame]:
    """Read lines without quotes. Blank lines are left out, unless the file is plain."""
    names = list(layout.names)
    before, checks = 0, Checks(source.place, "line")
    for block in source.line_blocks(layout.size):
        text = decoded(source.place, block, layout.plain, before)
        lines = pl.Series([text.removesuffix("\n")]).str.split("\n").explode()
        rows = np.arange(before, before + len(lines))
        before += len(lines)
        if not names:
            names = _names(source.place, lines[0].split(separator), layout)
            if not layout.unnamed:
                lines, rows = lines[1:], rows[1:]
        if layout.plain is None:
            there = lines != ""
            lines, rows = lines.filter(there), rows[there.to_numpy()]
        checks.rows = rows
        yield _split(lines, separator, names, checks).select(pl.when(pl.all() != "").then(pl.all()))


def _split(lines: pl.Series, separator: str, names: list[str], checks: Checks) -> pl.DataFrame:
    found = lines.str.count_matches(separator, literal=True) + 1
    what, remedy = f" instead of {len(names)} columns: ", f"a line is {separator.join(names)}"
    checks.refuse(found != len(names), lambda row: f"{found[row]}{what}{quote(lines[row])}", remedy)
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
