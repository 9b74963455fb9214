"""Reader of Parquet tables, a block of rows at a time, that keeps their types."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import IO

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from ..core.errors import DataError, memory_needed
from ..core.files import cache_dir
from .sources import Source
from .tables import BLOCK, Layout, check_names

_ROWS = 2**18
"""Rows that are read at a time."""

_NUMBER = 16
"""Bytes of a number in memory, at most."""

_BLOCK = BLOCK
"""Bytes of texts in memory at a time."""


def blocks(source: Source, layout: Layout) -> Iterator[pl.DataFrame]:
    """Read a table, as far as its columns are text, numbers, booleans, dates, or lists of those.

    Raises:
        DataError: it is damaged, or a column has no name of its own, or another type.
        OutOfMemoryError: a block does not fit into memory.
    """
    remedy = "write the table again, as a plain Parquet file"
    try:
        with (
            memory_needed("a block of rows does not fit into memory", source.place, remedy),
            _in_any_order(source) as stream,
        ):
            texts = [field.name for field in pq.read_schema(stream) if pa.types.is_string(field.type)]
            stream.seek(0)
            with pq.ParquetFile(stream, page_checksum_verification=True, read_dictionary=texts) as file:
                _check_columns(source.place, file.schema_arrow)
                rows = min(_ROWS, _BLOCK // (_NUMBER * len(file.schema_arrow)))
                for batch in file.iter_batches(max(1, rows)):
                    batch.validate(full=True)
                    for part in _slices(batch):
                        yield pl.DataFrame({name: _plain(part[name]) for name in part.schema.names})
    except FileNotFoundError:
        raise
    except (pa.ArrowException, OSError, ValueError, pl.exceptions.PolarsError) as error:
        raise DataError(f"not a readable Parquet file ({error})", source.place, remedy) from None


@contextmanager
def _in_any_order(source: Source) -> Iterator[IO[bytes]]:
    """Open a file whose bytes can be reached in any order: a compressed one is unpacked to one without a name."""
    with source.unpacked() as file:
        if not source.packed:
            yield file
            return
        with tempfile.TemporaryFile(dir=cache_dir("ingest")) as unpacked:
            shutil.copyfileobj(file, unpacked, 2**20)
            unpacked.seek(0)
            yield unpacked


def _check_columns(place: str, schema: pa.Schema) -> None:
    check_names(place, schema.names)
    for field in schema:
        if not _is_plain(field.type):
            what = f"type is {field.type}, which is neither text, number, date nor a list of those"
            raise DataError(what, f"{place}, column {field.name}", "leave the column out, or convert it")


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
