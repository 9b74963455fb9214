"""Reader of text with separated columns (CSV, TSV, RecBole's atomic files, `::`), a block at a time."""

import csv
import re
import sys
from collections.abc import Iterator
from functools import cache, partial

import polars as pl
import pyarrow as pa
import pyarrow.csv as pc

from ..core.errors import DataError, NoRowsError
from . import line_files
from .sources import Layout, Source, check_names

SEPARATORS = {",": "a comma", "\t": "a tab", ";": "a semicolon", "|": "a bar", "::": "two colons"}
"""The separators that the reader can detect."""

NULLS = ["", "\\N"]  # values that are missing: empty ones, and what PostgreSQL and MySQL write for NULL

_REMEDY = "write the table as UTF-8 (or set ingest.encoding) with a line of column names, columns separated by commas"
_SAMPLE, _LINES = 2**16, 10  # bytes and lines of a file from which its separator is found out


def blocks(source: Source, layout: Layout) -> Iterator[pl.DataFrame]:
    """Read a table. Values are text, or null if they are one of `NULLS`.

    Raises ``DataError`` if it is damaged or in another encoding, a row has too few or too many columns, a column has no
    name of its own, or a quote is not closed.
    """
    separator = _separator(source, layout)
    if layout.plain or len(separator) > 1:
        yield from line_files.blocks(source, separator, layout)
        return
    names, lines = _first_row(source, separator)
    if layout.names is not None:
        names, lines = line_files.numbers(names), 0
    check_names(source.place, names)
    count, read, skipped = cache(partial(_count_rows, source, separator, layout.one_line)), 0, lines
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
    expected = count() - (lines > 0)
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
    if len(separator) > 1:
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


def _count_rows(source: Source, separator: str, one_line: bool) -> int:
    """Count the rows, with the line of column names, by another parser than the one that reads them.

    Else an unclosed quote would silently turn all rows up to the next quote into one value. Raises ``DataError`` if a
    quote is not closed or stands within a value, or, with `one_line`, if a value holds line ends.
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
                if one_line and reader.line_num > end + 1 and rows:
                    what = f"a quoted value goes on to line {reader.line_num}, and swallows the rows between"
                    raise DataError(what, f"{source.place}, line {end + 1}", remedy)
                rows, end = rows + bool(row), reader.line_num
        except csv.Error as error:
            what = f"a quote is never closed, or stands within a value ({error})"
            raise DataError(what, f"{source.place}, row {rows}, line {end + 1}", remedy) from None
        finally:
            csv.field_size_limit(limit)
    return rows


def _csv_error(place: str, message: str, before: int) -> DataError:
    """Return Arrow's message with the number of the row in the table, `before` later than in the text."""
    if number := re.search(r"Row #(\d+): ", message):
        message, place = message[number.end() :], f"{place}, row {int(number[1]) + before}"
    what = "is not UTF-8" if "invalid UTF8" in message else message
    return DataError(what if len(what) <= 120 else what[:117] + "...", place, _REMEDY)
