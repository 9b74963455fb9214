"""Tables that people bring, CSV or Parquet: read strictly, with ids, texts and lists of texts as columns."""

import csv
import re
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq

from ..core.errors import DataError, memory_needed
from .archive import looks_like_html
from .checks import Check, Refuse, quote, refuse

_CSV_REMEDY = "write the table as UTF-8 with a line of column names, columns separated by commas"
_BLOCK = 2**26
"""Bytes of a CSV file that are parsed at a time; no row may be longer. Arrow reads up to 32 such blocks ahead."""

_ROWS = 2**18
"""Rows of a Parquet file that are read at a time."""

_NUMBER = 16
"""Bytes of a number in memory, at most."""

_EXACT = 2**53
"""From here on, floats cannot tell whole numbers apart."""


def read_table(path: Path) -> pl.DataFrame:
    """Read a CSV or Parquet table whole; see `read_blocks`."""
    return pl.concat(read_blocks(path), rechunk=True)


def read_blocks(path: Path, size: int = _BLOCK, one_line: bool = False) -> Iterator[pl.DataFrame]:
    """Read a CSV or Parquet table a block of rows at a time; there is at least one, and none is empty.

    The values of a CSV file are all text, null where nothing stands between two commas. A Parquet file keeps its
    types, as far as they are text, numbers, booleans, dates, or lists of those.

    Args:
        path: the file.
        size: bytes of a CSV file that are parsed at a time; no row may be longer.
        one_line: a row of a CSV file takes one line. Without it a quoted text may hold line ends.

    Raises:
        DataError: the file is of another kind, damaged, not UTF-8, has a row with too few or too many columns, no
            row, a column without a name of its own, a quote that is not closed, or a type that is none of those.
        OutOfMemoryError: a block does not fit into memory.
    """
    suffix = path.suffix.lower()
    if suffix not in (".csv", ".parquet"):
        raise DataError(
            "neither a CSV nor a Parquet file by its name", str(path), "let it end in .csv or .parquet"
        )
    if looks_like_html(path):
        raise DataError("is a web page, not a table", str(path), "fetch the file again")
    empty = True
    try:
        for block in _csv_blocks(path, size, one_line) if suffix == ".csv" else _parquet_blocks(path):
            if not block.is_empty():
                empty = False
                yield block
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror or error})", str(path), "mend that") from None
    if empty:
        raise DataError("table has no rows", str(path), "use one that has")


def find_column(table: pl.DataFrame, name: str, place: str, needed: Sequence[str]) -> str:
    """Return the column of a table that is called ``name`` or ``<name>_id``.

    Raises:
        DataError: there is none, or both are there.
    """
    found = [column for column in (name, f"{name}_id") if column in table.columns]
    if len(found) == 1:
        return found[0]
    if found:
        raise DataError(f"has both columns {' and '.join(found)}", place, "keep one of them")
    raise DataError(
        f"column {name} is missing; there are {', '.join(map(quote, table.columns[:20]))}",
        place,
        f"name columns {', '.join(needed)}, separated by commas where it is a CSV file",
    )


def as_ids(values: pl.Series, place: str, refuse: Refuse = refuse) -> pl.Series:
    """Return ids as text: text as it is, whole numbers without a decimal point.

    Args:
        values: the column, or a block of it.
        place: the file.
        refuse: what refuses rows.

    Raises:
        DataError: an id is missing, has control characters, or is neither text nor a whole number.
    """
    name, remedy = values.name, "give every row an id: text, or a whole number"
    if values.dtype.is_float():  # whole numbers that stood beside a missing one
        bad = ~(values.is_finite() & (values == values.floor()) & (values.abs() < _EXACT))
        refuse(Check(bad, place, lambda row: f"{values[row]} is not a whole number", remedy, name))
        values = values.cast(pl.Int64)
    elif not (values.dtype.is_integer() or values.dtype in (pl.String, pl.Null)):
        raise DataError(
            f"type is {values.dtype}, not text or a whole number", f"{place}, column {name}", remedy
        )
    ids = values.cast(pl.String)
    refuse(
        Check(ids.fill_null("").str.strip_chars() == "", place, lambda _: "an id is missing", remedy, name)
    )
    control = ids.str.contains(r"[\x00-\x1f\x7f]")
    refuse(Check(control, place, lambda row: f"{quote(ids[row])} has a control character", remedy, name))
    return ids


def as_text(values: pl.Series) -> pl.Series:
    """Return a column as text, or as lists of text if it holds lists; what is blank or NaN is null, or left out."""
    if isinstance(values.dtype, pl.List):
        texts = values.list.eval(_text(pl.element(), values.dtype.inner).drop_nulls())
        return texts.cast(pl.List(pl.String))
    return values.to_frame().select(_text(pl.col(values.name), values.dtype)).to_series()


def _text(values: pl.Expr, dtype: object) -> pl.Expr:
    if dtype in (pl.Float32, pl.Float64):
        values = values.fill_nan(None)
    texts = values.cast(pl.String)
    # As Python's str.strip(): the separators below the space, which Unicode does not call white, are blank too.
    return pl.when(texts.str.contains(r"[^\s\x1c-\x1f]")).then(texts)


def _csv_blocks(path: Path, size: int, one_line: bool) -> Iterator[pl.DataFrame]:
    names, lines = _header(path)
    _check_names(path, names)
    expected, read = _count_rows(path, one_line) - 1, 0
    try:
        with pc.open_csv(
            path,
            pc.ReadOptions(use_threads=False, column_names=names, skip_rows=lines, block_size=size),
            pc.ParseOptions(newlines_in_values=True),
            pc.ConvertOptions(
                column_types={name: pa.string() for name in names},
                null_values=[""],
                strings_can_be_null=True,
            ),
        ) as reader:
            for batch in reader:
                read += len(batch)
                yield pl.DataFrame({name: pl.Series(batch[name]) for name in names})
    except pa.ArrowInvalid as error:
        raise _csv_error(path, str(error), lines) from None
    if read != expected:
        raise DataError(f"has {expected:,} rows, of which {read:,} could be read", str(path), _CSV_REMEDY)


def _header(path: Path) -> tuple[list[str], int]:
    """Return the column names of a CSV file and the number of its lines that they take."""
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        reader = csv.reader(file)
        try:
            names = next((row for row in reader if row), [])
            "".join(names).encode()
        except UnicodeEncodeError:
            raise DataError("is not UTF-8", f"{path}, line 1", _CSV_REMEDY) from None
        except csv.Error as error:
            raise DataError(
                f"has no line of column names ({error})", f"{path}, line 1", _CSV_REMEDY
            ) from None
    if not names:
        raise DataError("file is empty", str(path), _CSV_REMEDY)
    return names, reader.line_num


def _count_rows(path: Path, one_line: bool) -> int:
    """Count the rows of a CSV file, that of the column names among them, by another parser than the one that reads it.

    Raises:
        DataError: a quote is never closed or stands within a value, or with `one_line` a value holds line ends: a quote
            that nobody closed would make one value of all rows up to the next.
    """
    remedy = 'write "" for a quote within a value, and quotes round it'
    with path.open("rb") as file:
        quoted = any(b'"' in block for block in iter(partial(file.read, 2**20), b""))
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        if not quoted:
            return sum(1 for line in file if line.strip("\r\n"))
        rows, end, limit = 0, 0, csv.field_size_limit(sys.maxsize)
        reader = csv.reader(file, strict=True)
        try:
            for row in reader:
                if one_line and reader.line_num > end + 1 and rows:
                    what = f"a quoted value goes on to line {reader.line_num}, and swallows the rows between"
                    raise DataError(what, f"{path}, line {end + 1}", remedy)
                rows, end = rows + bool(row), reader.line_num
        except csv.Error as error:
            what = f"a quote is never closed, or stands within a value ({error})"
            raise DataError(what, f"{path}, row {rows}, line {end + 1}", remedy) from None
        finally:
            csv.field_size_limit(limit)
    return rows


def _csv_error(path: Path, message: str, lines: int) -> DataError:
    """Turn Arrow's message, which counts rows from the first line on, into one that counts rows of the table."""
    if "Could not skip" in message or "Empty CSV" in message:
        return DataError("table has no rows", str(path), "use one that has")
    number = re.search(r"Row #(\d+): ", message)
    where = str(path) if number is None else f"{path}, row {int(number[1]) - lines}"
    what = message[number.end() :] if number is not None else message
    if "invalid UTF8" in message:
        what = "is not UTF-8"
    return DataError(what if len(what) <= 120 else what[:117] + "...", where, _CSV_REMEDY)


def _parquet_blocks(path: Path) -> Iterator[pl.DataFrame]:
    remedy = "write the table again, as a plain Parquet file"
    try:
        texts = [field.name for field in pq.read_schema(path) if pa.types.is_string(field.type)]
        with (
            memory_needed("a block of rows does not fit into memory", str(path), remedy),
            pq.ParquetFile(path, page_checksum_verification=True, read_dictionary=texts) as file,
        ):
            _check_names(path, file.schema_arrow.names)
            for field in file.schema_arrow:
                if not _is_plain(field.type):
                    what = f"type is {field.type}, which is neither text, number, date nor a list of those"
                    raise DataError(
                        what, f"{path}, column {field.name}", "leave the column out, or convert it"
                    )
            rows = min(_ROWS, _BLOCK // (_NUMBER * len(file.schema_arrow)))
            for batch in file.iter_batches(max(1, rows)):
                batch.validate(full=True)
                for part in _slices(batch):
                    yield pl.DataFrame({name: _plain(part[name]) for name in part.schema.names})
    except FileNotFoundError:
        raise
    except (pa.ArrowException, OSError, ValueError, pl.exceptions.PolarsError) as error:
        raise DataError(f"not a readable Parquet file ({error})", str(path), remedy) from None


def _slices(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """Cut a batch where its texts, which a dictionary holds once, would take more than `_BLOCK` bytes written out."""
    sizes = np.zeros(len(batch), np.int64)  # [rows], bytes of texts
    for column in batch.columns:
        if pa.types.is_dictionary(column.type) and pa.types.is_string(column.type.value_type):
            lengths = pl.Series(column.dictionary).str.len_bytes().fill_null(0).to_numpy()  # [texts]
            missing = len(lengths)
            sizes += np.append(lengths, 0)[column.indices.fill_null(missing).to_numpy()]
    blocks = np.cumsum(sizes) // _BLOCK  # [rows]
    bounds = [0, *(np.flatnonzero(np.diff(blocks)) + 1).tolist(), len(batch)]
    for start, end in pairwise(bounds):
        yield batch.slice(start, end - start)


def _check_names(path: Path, names: Sequence[str]) -> None:
    remedy = "give every column one name of its own (pandas: index=False leaves the index out)"
    for number, name in enumerate(names, 1):
        if not name.strip():
            raise DataError(f"column {number} has no name", str(path), remedy)
        if name in names[: number - 1]:
            raise DataError(f"two columns are named {quote(name)}", str(path), remedy)


def _is_plain(kind: pa.DataType) -> bool:
    types = pa.types
    if types.is_list(kind) or types.is_large_list(kind):
        return _is_scalar(kind.value_type)
    return _is_scalar(kind.value_type if types.is_dictionary(kind) else kind)


def _is_scalar(kind: pa.DataType) -> bool:
    types = pa.types
    if types.is_float16(kind):
        return False
    tests = (types.is_string, types.is_large_string, types.is_integer, types.is_floating, types.is_boolean)
    return any(test(kind) for test in (*tests, types.is_date, types.is_timestamp, types.is_null))


def _plain(column: pa.Array) -> pl.Series:
    """Return a column as polars holds it; dictionaries (pandas' categories) become values, times those of UTC."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    # Polars knows no zone such as +05:30.
    if pa.types.is_timestamp(column.type) and column.type.tz is not None:
        column = column.cast(pa.timestamp(column.type.unit))
    return pl.Series(column)
