"""Tables in any format that has a reader; ids and texts of their columns."""

import html
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import polars as pl

from ..core.errors import DataError, NoRowsError
from . import csv_files, json_files, parquet_files
from .checks import Checks
from .sources import COMPRESSED, Layout, Source, file_source, is_html

Reader = Callable[[Source, Layout], Iterator[pl.DataFrame]]
"""Yields a table in blocks of rows. It refuses what it cannot read, and loses no row."""

JSON = (".jsonl", ".ndjson", ".json")
READERS: dict[str, Reader] = {
    **dict.fromkeys((".csv", ".tsv", ".txt", ".dat", ".data", ".inter", ".item"), csv_files.blocks),
    **dict.fromkeys((".parquet", ".pq"), parquet_files.blocks),
    **dict.fromkeys(JSON, json_files.blocks),
}
"""The reader of each suffix, lower case. `docs/own-data.md` shows how to add one."""

EXACT = 2**53  # floats from here on do not hold every whole number
IDS = "give every row an id: text, or a whole number"  # what to do about an id that is malformed
_ENTITY = r"&#?\w+;"
_SPACE = r"\s\x1c-\x1f"  # the white space of str.split(); `\s` leaves \x1c to \x1f out


def read_table(path: Path, encoding: str = "utf-8") -> pl.DataFrame:
    """Read a table into memory; see `read_blocks`."""
    return pl.concat(read_blocks(file_source(path, encoding), Layout()), how="diagonal_relaxed", rechunk=True)


def read_blocks(source: Source, layout: Layout, may_be_empty: bool = False) -> Iterator[pl.DataFrame]:
    """Read a table in blocks, none of which is empty. There is at least one, unless the table may be empty.

    The values of a CSV file are text, or null if they are empty or `\\N`. Other formats keep their types: text,
    numbers, booleans, dates, and lists of those. Raises ``NoRowsError`` if there are no rows, ``DataError`` if the file
    is of another kind, damaged, or in another encoding, and ``OutOfMemoryError`` if a block does not fit into memory.
    """
    if source.suffix not in READERS:
        what = f"there is no reader for {source.suffix or 'a name without suffix'}"
        ends = f"{' '.join(READERS)} (and {' or '.join(COMPRESSED)} where it is compressed)"
        raise DataError(what, source.place, f"export it as CSV, JSON lines or Parquet; the names end in {ends}")
    empty = not may_be_empty
    try:
        if is_html(source.unpacked):
            raise DataError("is a web page, not a table", source.place, "fetch the file again")
        for block in READERS[source.suffix](source, layout):
            if not block.is_empty():
                empty = False
                yield block
    except NoRowsError:
        if empty:
            raise
    except UnicodeError as error:  # UTF-16 without its mark raises no UnicodeDecodeError
        what = f"is not {source.encoding.upper()} ({error})"
        raise DataError(what, source.place, "set ingest.encoding to its encoding") from None
    except OSError as error:
        remedy = "compress or fetch the file again" if source.packed else "make it readable"
        raise DataError(f"cannot be read ({error.strerror or error})", source.place, remedy) from None
    if empty:
        raise NoRowsError("table has no rows", source.place, "use one that has")


def read_parts(paths: Sequence[Path], layout: Layout, encoding: str) -> Iterator[tuple[Path, pl.DataFrame]]:
    """Read the files of a table in blocks, each with its file; see `read_blocks`. One of several may be empty."""
    for path in paths:
        for block in read_blocks(file_source(path, encoding), layout, may_be_empty=len(paths) > 1):
            yield path, block


def sql_name(values: pl.Series) -> str:
    """Return the name of a column as SQL writes it."""
    return '"' + values.name.replace('"', '""') + '"'


def not_missing_sql(values: pl.Series) -> str:
    """Return the SQL condition, for `ingest.where`, that leaves out the rows without a value, blank texts included."""
    column = sql_name(values)
    return f"LENGTH(TRIM({column})) > 0" if values.dtype == pl.String else f"{column} IS NOT NULL"


def as_ids(values: pl.Series, checks: Checks, missing: str = IDS) -> pl.Series:
    """Return a column of ids, or a block of it, as text without outer blanks; whole numbers have no decimal point.

    Raises ``DataError`` if an id has control characters, is neither text nor a whole number, or is missing, for which
    `missing` is the remedy.
    """
    name = values.name
    if values.dtype.is_float():  # whole numbers in a column with a missing value
        bad = ~(values.is_finite() & (values == values.floor()) & (values.abs() < EXACT))
        checks.refuse_values(bad, values, "is not a whole number", IDS)
        values = values.cast(pl.Int64)
    elif not (values.dtype.is_integer() or values.dtype in (pl.String, pl.Null)):
        what = f"type is {values.dtype}, not text or a whole number"
        raise DataError(what, f"{checks.place}, column {name}", IDS)
    ids = values.cast(pl.String).str.strip_chars(" \u00a0")
    checks.refuse(ids.fill_null("").str.strip_chars() == "", lambda _: "an id is missing", missing, name)
    checks.refuse_values(ids.str.contains(r"[\x00-\x1f\x7f]"), ids, "has a control character", IDS)
    return ids


def as_text(values: pl.Series) -> pl.Series:
    """Return a column as text, or as lists of text. A blank value or NaN becomes null, or is left out of its list."""
    return _mapped(values, _text)


def cleaned(values: pl.Series) -> pl.Series:
    """Return texts, or lists of texts, without entities and with single spaces; another column as it is.

    A blank text becomes null, or is left out of its list.
    """
    return _mapped(values, _clean) if values.dtype in (pl.String, pl.List(pl.String)) else values


def unescaped(text: str) -> str:
    """Return a text with characters instead of HTML entities (`&` instead of `&amp;`)."""
    return re.sub(_ENTITY, lambda entity: html.unescape(entity[0]), text)


def _mapped(values: pl.Series, change: Callable[[pl.Series], pl.Series]) -> pl.Series:
    """Return changed values, or lists of them without nulls. `change` gets the values of all lists at once."""
    if not isinstance(values.dtype, pl.List):
        return change(values)
    changed = pl.element().map_batches(change, return_dtype=pl.String, is_elementwise=True)
    return values.list.eval(changed).list.drop_nulls()


def _text(values: pl.Series) -> pl.Series:
    if values.dtype in (pl.Date, pl.Datetime):
        far = values.dt.year().is_null() & values.is_not_null()
        if far.any():  # such as PostgreSQL's `infinity`: polars panics at its text
            near = pl.select(pl.when(~far).then(values)).to_series().cast(pl.String)
            return near.scatter(far.arg_true(), np.datetime_as_string(values.filter(far).to_numpy()).tolist())
    texts = (values.fill_nan(None) if values.dtype.is_float() else values).cast(pl.String)
    return texts.set(~texts.str.contains(f"[^{_SPACE}]"), None)


def _clean(texts: pl.Series) -> pl.Series:
    escaped = texts.str.contains(_ENTITY).fill_null(False)
    if escaped.any():
        texts = texts.scatter(escaped.arg_true(), [unescaped(text) for text in texts.filter(escaped)])
    single = texts.str.replace_all(f"[{_SPACE}]+", " ").str.strip_chars(" ")
    return single.set(single == "", None)
