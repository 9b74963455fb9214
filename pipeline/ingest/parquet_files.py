"""Reader of Parquet tables, a block of rows at a time; columns keep their types."""

import shutil
import tempfile
from collections.abc import Iterator
from itertools import pairwise
from typing import IO

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from ..core.errors import DataError, memory_needed
from ..core.files import cache_dir
from .columns import USUAL, plain
from .json_files import flat
from .sources import BLOCK, Layout, Source, check_names

_ROWS = 2**18  # rows that are read at a time
_NUMBER = 16  # bytes of the largest number in memory
_BLOCK = BLOCK  # bytes of texts in memory at a time


def blocks(source: Source, layout: Layout) -> Iterator[pl.DataFrame]:
    """Read the columns of text, numbers, booleans, dates, or lists of those; other columns are left out.

    Structs and lists of them or of lists are read as in JSON lines (see `flat`). Lists of one fixed size are left out:
    these are vectors.

    Raises ``DataError`` if the table is damaged, a column has no name of its own, or the only column for a role, or
    each column, is of another type; ``OutOfMemoryError`` if a block does not fit into memory.
    """
    remedy = "write the table again, as a plain Parquet file"
    memory = memory_needed("a block of rows does not fit into memory", source.place, remedy)
    try:
        with memory, _seekable(source) as stream:
            texts = [field.name for field in pq.read_schema(stream) if pa.types.is_string(field.type)]
            stream.seek(0)
            options = {"page_checksum_verification": True, "coerce_int96_timestamp_unit": "us"}
            with pq.ParquetFile(stream, read_dictionary=texts, **options) as file:
                names = _readable(source.place, file.schema_arrow)
                groups = [file.metadata.row_group(number) for number in range(file.num_row_groups)]
                longest = max((group.total_byte_size // max(1, group.num_rows) for group in groups), default=0)
                rows = min(_ROWS, _BLOCK // max(_NUMBER * len(names), longest))
                for batch in file.iter_batches(max(1, rows), columns=names):
                    batch.validate(full=True)
                    for rows_of_batch in _slices(batch):
                        columns = [_plain(rows_of_batch[name]).alias(name) for name in names]
                        parts = [part for column in columns for part in flat(column)]
                        check_names(source.place, [part.name for part in parts])
                        yield pl.DataFrame(parts)
    except FileNotFoundError:
        raise
    except (pa.ArrowException, OSError, ValueError, pl.exceptions.PolarsError) as error:
        raise DataError(f"not a readable Parquet file ({error})", source.place, remedy) from None


def _seekable(source: Source) -> IO[bytes]:
    """Open a file in which any place can be read; a compressed file is first unpacked to a temporary one."""
    if not source.packed:
        return source.unpacked()
    unpacked = tempfile.TemporaryFile(dir=cache_dir("ingest"))  # noqa: SIM115 - the caller closes it
    with source.unpacked() as file:
        shutil.copyfileobj(file, unpacked, 2**20)
    unpacked.seek(0)
    return unpacked


def _slices(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """Cut a batch into parts whose texts, copied out of their dictionary, take about `_BLOCK` bytes each."""
    sizes = np.zeros(len(batch), np.int64)  # [rows], bytes of texts
    for column in batch.columns:
        if pa.types.is_dictionary(column.type) and pa.types.is_string(column.type.value_type):
            lengths = pl.Series(column.dictionary).str.len_bytes().fill_null(0).to_numpy()  # [texts]
            sizes += np.append(lengths, 0)[column.indices.fill_null(len(lengths)).to_numpy()]
    blocks = np.cumsum(sizes) // _BLOCK  # [rows]
    bounds = [0, *(np.flatnonzero(np.diff(blocks)) + 1).tolist(), len(batch)]
    for start, end in pairwise(bounds):
        yield batch.slice(start, end - start)


def _readable(place: str, schema: pa.Schema) -> list[str]:
    check_names(place, schema.names)
    names, others = list[str](), dict[str, pa.DataType]()
    for name, kind in zip(schema.names, schema.types, strict=True):
        single = kind.value_type if pa.types.is_dictionary(kind) else kind
        if _nested(single) or pa.types.is_decimal(single) or pa.types.is_timestamp(single):
            names.append(name)
        else:
            others[name] = kind
    needed = ("user", "item", "timestamp")  # by interactions; a table of items needs `item`
    roles = {role: [name for name in schema.names if plain(name) in USUAL[role]] for role in needed}
    for role in needed if all(roles.values()) else ("item",):
        if (fitting := roles[role]) and others.keys() >= set(fitting):
            what = f"type is {others[fitting[0]]}, which is neither text, number, date nor a list of those"
            raise DataError(what, f"{place}, column {fitting[0]}", "convert the column, or name another one")
    if not names:
        raise DataError("no column is text, number, date or a list of those", place, "convert its columns")
    return names


def _nested(kind: pa.DataType) -> bool:
    """Say whether a type is text, number, boolean or date, or made of such types by lists and structs."""
    types = pa.types
    if types.is_struct(kind):
        return all(_nested(field.type) for field in kind)
    if types.is_list(kind) or types.is_large_list(kind):
        return _nested(kind.value_type)
    tests = (
        *(types.is_integer, types.is_floating, types.is_boolean, types.is_null, types.is_date),
        *(types.is_string, types.is_large_string, types.is_string_view),
    )
    return any(test(kind) for test in tests) or (types.is_timestamp(kind) and kind.tz is None)


def _plain(column: pa.Array) -> pl.Series:
    """Return a column for polars: the values of a dictionary (a category of pandas), and times in UTC.

    Decimals become floats; those without a fraction, as databases export ids, become text, which has all their digits.
    """
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_decimal(column.type):
        column = column.cast(pa.float64() if column.type.scale else pa.string())
    if pa.types.is_float16(column.type):
        column = column.cast(pa.float32())
    if pa.types.is_timestamp(column.type):  # polars knows no zone such as +05:30
        column = column.cast(pa.timestamp(column.type.unit))
    return pl.Series(column)
