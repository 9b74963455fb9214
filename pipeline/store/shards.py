"""The shards of a store: some rows' vectors and items, in two files that are mapped into memory."""

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from ..core.errors import StoreError
from .store_files import REMEDY, SCHEMA, check_hash, check_row_numbers, check_shape, read_vectors, shard_files

ARROW = pa.schema(
    [
        ("row", pa.int32()),
        ("item_id", pa.large_string()),
        ("title", pa.large_string()),
        ("text", pa.large_string()),
        ("text_hash", pa.large_string()),
    ]
)
"""The columns of a file of items."""


class Shard:
    """One shard. The hash of a file is checked when it is first read, so that opening a store reads none.

    Args:
        folder: the store's.
        manifest: the store's.
        number: the shard's.
    """

    def __init__(self, folder: Path, manifest: dict[str, Any], number: int) -> None:
        self._folder, self._manifest = folder, manifest
        self._names = shard_files(number)
        self.path, self.items_path = (folder / name for name in self._names)
        self.first, self.count = sum(manifest["shards"][:number]), manifest["shards"][number]

    def map_vectors(self) -> NDArray[np.float32]:
        """Map the vectors, float32 [count, d], checking type and shape only.

        Raises:
            StoreError: they are not there, or are of another type or shape.
        """
        if not self.path.is_file():
            raise StoreError("file is missing", str(self.path), REMEDY)
        return read_vectors(self.path, (self.count, self._manifest["dimension"]))

    def map_items(self) -> pa.RecordBatch:
        """Map the items, checking that they are a table of these columns, rows and row numbers.

        Raises:
            StoreError: they are not.
        """
        try:
            reader = pa.ipc.open_file(pa.memory_map(str(self.items_path)))
            batches = [reader.get_batch(number) for number in range(reader.num_record_batches)]
            for batch in batches:
                batch.validate(full=True)
        except (pa.ArrowException, OSError, ValueError) as error:
            raise StoreError(f"not an Arrow file: {error}", str(self.items_path), REMEDY) from None
        if reader.schema != ARROW or len(batches) != 1:
            what = f"{len(batches)} batches of {reader.schema.names}, not one of {ARROW.names}"
            raise StoreError(what, str(self.items_path), REMEDY)
        check_shape(self.items_path, (len(batches[0]),), (self.count,))
        rows = batches[0]["row"]
        check_row_numbers(self.items_path, rows.to_numpy(zero_copy_only=False), self.first)
        return batches[0]

    @cached_property
    def vectors(self) -> NDArray[np.float32]:
        """Float32 [count, d], memory-mapped; raises ``StoreError`` as ``map_vectors``, or if the hash is another."""
        check_hash(self._folder, self._manifest, self._names[0])
        return self.map_vectors()

    @cached_property
    def items(self) -> pa.RecordBatch:
        """Columns of ``ARROW``, memory-mapped; raises ``StoreError`` as ``map_items``, or if the hash is another."""
        check_hash(self._folder, self._manifest, self._names[1])
        return self.map_items()


def open_shards(folder: Path, manifest: dict[str, Any]) -> list[Shard]:
    """Return a store's shards after checking that their files are there, and shapes and types of the vectors.

    Raises:
        StoreError: a file is not there, or not what the manifest says.
    """
    shards = [Shard(folder, manifest, number) for number in range(len(manifest["shards"]))]
    for shard in shards:
        shard.map_vectors()
        if not shard.items_path.is_file():
            raise StoreError("file is missing", str(shard.items_path), REMEDY)
    return shards


def as_frame(batch: pa.RecordBatch) -> pl.DataFrame:
    """Return rows of a shard's items as a table of ``SCHEMA``."""
    return pl.DataFrame({name: pl.Series(batch[name]) for name in ARROW.names}, SCHEMA)
