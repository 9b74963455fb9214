"""The shards of a store, and the index from item ids to rows.

Each shard holds consecutive rows: vectors in one file, items in another. A shard whose files are missing, damaged or
not those of the manifest raises ``StoreError``.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from ..core.errors import StoreError
from ..core.files import map_npy
from . import store_files as files
from .vectors import Vectors

# The columns of ``files.SCHEMA`` in Arrow.
ARROW = pa.schema([("row", pa.int32()), *((name, pa.large_string()) for name in files.SCHEMA.names()[1:])])


@dataclass(eq=False)
class Shard:
    """One shard. A file's hash is checked when the file is first read."""

    manifest: dict[str, Any]
    path: Path  # file of vectors
    items_path: Path  # file of items, `.arrow` or `.parquet`
    first: int  # row of the store at which the shard begins
    count: int

    def map_vectors(self) -> NDArray[np.float32]:
        """Map the vectors, float32 [count, d]; check type and shape, but not the hash."""
        with files.as_store_errors():
            vectors = map_npy(self.path)
        if vectors.dtype != np.dtype("<f4"):
            raise StoreError(f"numbers are {vectors.dtype}, not float32", str(self.path), files.REMEDY)
        files.check_shape(self.path, vectors.shape, (self.count, self.manifest["dimension"]))
        return vectors

    def read_items(self) -> pa.Table:
        """Read the items, columns of ``ARROW``; check rows and columns, but not the hash."""
        path = self.items_path
        items = files.read_table(path, files.SCHEMA).cast(ARROW)
        files.check_shape(path, (len(items),), (self.count,))
        for name in ("item_id", "text", "text_hash"):
            files.check_rows(items[name].is_valid(), 0, path, f"column {name} has no value")
        ordered = items["row"].to_numpy() == np.arange(self.first, self.first + len(items))
        files.check_rows(ordered, 0, path, "column row is not the row's number")
        return items

    @cached_property
    def vectors(self) -> NDArray[np.float32]:
        """Float32 [count, d], memory-mapped."""
        files.check_hash(self.path, self.manifest)
        return self.map_vectors()

    @cached_property
    def items(self) -> pa.Table:
        """Columns of ``ARROW``."""
        files.check_hash(self.items_path, self.manifest)
        return self.read_items()


class IdIndex(NamedTuple):
    """Hashes of all ids in ascending order, and the row of each; two ids may have the same hash."""

    hashes: NDArray[np.uint64]  # [n]
    rows: NDArray[np.int32]  # [n]

    @classmethod
    def of(cls, ids: Iterable[str]) -> "IdIndex":
        """Return the index of ids, which are given in the order of their rows."""
        hashes = id_hashes(ids)
        order = np.argsort(hashes, kind="stable")
        return cls(hashes[order].astype("<u8"), order.astype("<i4"))

    def write(self, folder: Path) -> None:
        """Write the two files of the index."""
        for name, numbers in zip(files.INDEX, self, strict=True):
            np.save(folder / name, numbers, allow_pickle=False)

    @classmethod
    def map(cls, folder: Path, manifest: dict[str, Any]) -> "IdIndex":
        """Map the index into memory; check types and shapes, but not the hashes."""
        count = manifest["count"]
        with files.as_store_errors():
            found = [map_npy(folder / name) for name in files.INDEX]
        for name, numbers, dtype in zip(files.INDEX, found, ("<u8", "<i4"), strict=True):
            if numbers.dtype != np.dtype(dtype) or numbers.shape != (count,):
                what = f"{numbers.dtype} of shape {numbers.shape}, but {files.MANIFEST} says {count} items"
                raise StoreError(what, str(folder / name), files.REMEDY)
        return cls(*found)

    def find(self, item_id: str) -> Iterator[int]:
        """Yield the rows of all ids with the hash of this id; the caller compares the ids."""
        wanted = id_hashes([item_id])
        first, last = (int(self.hashes.searchsorted(wanted, side)[0]) for side in ("left", "right"))
        yield from self.rows[first:last].tolist()

    def check(self, folder: Path, ids: pl.Series) -> None:
        """Raise ``StoreError`` if this is not the index of these ids, by row; name the first wrong place."""
        for name, found, right in zip(files.INDEX, self, IdIndex.of(ids), strict=True):
            files.check_rows(found == right, 0, folder / name, "not the index of the item ids")


def id_hashes(ids: Iterable[str]) -> NDArray[np.uint64]:
    """Return the first eight bytes of each id's SHA-256 as a number, uint64 [n]."""
    digests = b"".join(hashlib.sha256(item_id.encode("utf-8", "surrogatepass")).digest()[:8] for item_id in ids)
    return np.frombuffer(digests, ">u8").astype(np.uint64)


class Shards(list[Shard]):
    """All shards of a store, in order of rows, as one table of items; only the shards of the asked rows are read.

    A plain store has one shard.
    """

    def __init__(self, folder: Path, manifest: dict[str, Any]) -> None:
        counts = manifest["shards"] if files.is_sharded(manifest) else [manifest["count"]]
        starts = list(accumulate(counts[:-1], initial=0))
        for (vectors, items), *rows in zip(files.shard_names(manifest), starts, counts, strict=True):
            self.append(Shard(manifest, folder / vectors, folder / items, *rows))
        self._folder, self._manifest, self._starts = folder, manifest, np.array(starts)

    def locate(self, row: int) -> tuple[Shard, int]:
        """Return the shard of a row, 0 <= row < n, and the row's number in the shard."""
        shard = self[int(self._starts.searchsorted(row, "right")) - 1]
        return shard, row - shard.first

    def groups(self, rows: NDArray[np.int64]) -> Iterator[tuple[Shard, NDArray[np.int64], NDArray[np.int64]]]:
        """Yield each shard that holds some of the rows, their places in `rows`, and their numbers in the shard."""
        numbers = self._starts.searchsorted(rows, "right") - 1
        for number in np.unique(numbers).tolist():
            asked = np.flatnonzero(numbers == number)
            yield self[number], asked, rows[asked] - self[number].first

    @property
    def ids(self) -> pl.Series:
        """Item ids by row."""
        return pl.concat([pl.Series("item_id", shard.items["item_id"]) for shard in self])

    def take(self, rows: NDArray[np.int64]) -> pl.DataFrame:
        """Return some of the items, in the order of `rows`."""
        parts, order = [pl.DataFrame(schema=files.SCHEMA)], [np.empty(0, np.int64)]
        for shard, asked, places in self.groups(rows):
            parts.append(pl.DataFrame(shard.items.take(places)))
            order.append(asked)
        return pl.concat(parts)[np.argsort(np.concatenate(order))]

    @cached_property
    def id_index(self) -> IdIndex:
        """The index of the ids: read from files, whose hashes are checked, or computed if the store is plain."""
        if not files.is_sharded(self._manifest):
            return IdIndex.of(self.ids)
        for name in files.INDEX:
            files.check_hash(self._folder / name, self._manifest)
        return IdIndex.map(self._folder, self._manifest)


class ShardedVectors(Vectors):
    """The vectors of all shards, float32 [n, d]; only the shards of the asked rows are read."""

    def __init__(self, shards: Shards, shape: tuple[int, int]) -> None:
        self._shards, self._shape = shards, shape

    @property
    def shape(self) -> tuple[int, int]:
        """Number of vectors and their width."""
        return self._shape

    def __getitem__(self, rows: int | np.integer | slice | Sequence[int] | NDArray) -> NDArray[np.float32]:
        """Return one row [d], which is not copied, or a copy of several [m, d]."""
        if isinstance(rows, slice):
            rows = np.arange(*rows.indices(len(self)))
        chosen = np.atleast_1d(rows)
        chosen = np.flatnonzero(chosen) if chosen.dtype == np.bool_ else chosen.astype(np.int64)
        chosen = np.where(chosen < 0, chosen + len(self), chosen)
        if len(chosen) and not 0 <= chosen.min() <= chosen.max() < len(self):
            raise IndexError(f"rows are 0 to {len(self) - 1}")
        if np.ndim(rows) == 0:
            shard, place = self._shards.locate(int(chosen[0]))
            return shard.vectors[place]
        found = np.empty((len(chosen), self.shape[1]), np.float32)
        for shard, asked, places in self._shards.groups(chosen):
            found[asked] = shard.vectors[places]
        return found
