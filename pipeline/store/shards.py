"""The shards of a store, and the index from item ids to rows.

Each shard holds consecutive rows: vectors in one file, items in another. A shard whose files are missing, damaged or
not those of the manifest raises ``StoreError``.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from ..core.errors import StoreError
from . import store_files as files
from .store_files import REMEDY, SCHEMA
from .vectors import Vectors

ARROW = pa.schema([("row", pa.int32()), *((name, pa.large_string()) for name in SCHEMA.names()[1:])])
"""The columns of ``SCHEMA`` in Arrow."""


class Shard:
    """One shard, from row `first` on. A file's hash is checked when the file is first read.

    `names` are its files of vectors and of items (`.arrow` or `.parquet`) in the store's folder.
    """

    def __init__(
        self, folder: Path, manifest: dict[str, Any], names: tuple[str, str], first: int, count: int
    ) -> None:
        self._folder, self._manifest, self.first, self.count = folder, manifest, first, count
        self.path, self.items_path = (folder / name for name in names)

    def map_vectors(self) -> NDArray[np.float32]:
        """Map the vectors, float32 [count, d]; check type and shape, but not the hash."""
        vectors = files.map_array(self.path)
        if vectors.dtype != np.dtype("<f4"):
            raise StoreError(f"numbers are {vectors.dtype}, not float32", str(self.path), REMEDY)
        files.check_shape(self.path, vectors.shape, (self.count, self._manifest["dimension"]))
        return vectors

    def read_items(self) -> pa.Table:
        """Read the items, columns of ``ARROW``, or map an Arrow file; check rows and columns, but not the hash."""
        path = self.items_path
        items = _map_arrow(path) if path.suffix == ".arrow" else files.read_parquet(path, SCHEMA).cast(ARROW)
        files.check_shape(path, (len(items),), (self.count,))
        ordered = items["row"].to_numpy() == np.arange(self.first, self.first + len(items))
        files.check_rows(ordered, 0, path, "column row is not the row's number")
        return items

    @cached_property
    def vectors(self) -> NDArray[np.float32]:
        """Float32 [count, d], memory-mapped."""
        files.check_hash(self._folder, self._manifest, self.path.name)
        return self.map_vectors()

    @cached_property
    def items(self) -> pa.Table:
        """Columns of ``ARROW``."""
        files.check_hash(self._folder, self._manifest, self.items_path.name)
        return self.read_items()


class IdIndex:
    """Hashes of all ids in ascending order, uint64 [n], and the row of each, int32 [n]; both are memory-mapped.

    Two ids may have the same hash.
    """

    def __init__(self, hashes: NDArray[np.uint64], rows: NDArray[np.int32]) -> None:
        self.hashes, self.rows = hashes, rows

    @staticmethod
    def write(folder: Path, hashes: NDArray[np.uint64]) -> None:
        """Write the index of ids with these hashes, uint64 [n], in order of rows."""
        order = np.argsort(hashes, kind="stable")
        np.save(folder / files.HASHES, hashes[order].astype("<u8"), allow_pickle=False)
        np.save(folder / files.ROWS, order.astype("<i4"), allow_pickle=False)

    @classmethod
    def open(cls, folder: Path, manifest: dict[str, Any]) -> "IdIndex":
        """Check the hashes of the index's files, then ``map`` them."""
        for name in files.INDEX:
            files.check_hash(folder, manifest, name)
        return cls.map(folder, manifest)

    @classmethod
    def map(cls, folder: Path, manifest: dict[str, Any]) -> "IdIndex":
        """Map the index into memory; raise ``StoreError`` if a file is missing or not that of the manifest."""
        found, count = [files.map_array(folder / name) for name in files.INDEX], manifest["count"]
        for name, numbers, dtype in zip(files.INDEX, found, ("<u8", "<i4"), strict=True):
            if numbers.dtype != np.dtype(dtype) or numbers.shape != (count,):
                what = f"{numbers.dtype} of shape {numbers.shape}, but {files.MANIFEST} says {count} items"
                raise StoreError(what, str(folder / name), REMEDY)
        return cls(*found)

    def find(self, item_id: str) -> Iterator[int]:
        """Yield the rows of all ids with the hash of this id; the caller compares the ids."""
        wanted = id_hashes([item_id])
        first, last = (int(self.hashes.searchsorted(wanted, side)[0]) for side in ("left", "right"))
        yield from self.rows[first:last].tolist()

    def check(self, folder: Path, ids: pl.Series) -> None:
        """Raise ``StoreError`` if this is not the index of these ids, by row; name the first wrong place."""
        hashes = id_hashes(ids)
        order = np.argsort(hashes, kind="stable")
        pairs = (self.hashes, hashes[order]), (self.rows, order)
        for name, (found, right) in zip(files.INDEX, pairs, strict=True):
            files.check_rows(found == right, 0, folder / name, "not the index of the item ids")


def id_hashes(ids: Iterable[str]) -> NDArray[np.uint64]:
    """Return the first eight bytes of each id's SHA-256 as a number, uint64 [n]."""
    digests = b"".join(hashlib.sha256(item_id.encode("utf-8")).digest()[:8] for item_id in ids)
    return np.frombuffer(digests, ">u8").astype(np.uint64)


class Shards:
    """All shards of a store, in order of rows, as one table of items; only the shards of the asked rows are read.

    A plain store has one shard. Without an index of the ids, the first lookup reads all ids into memory.
    """

    def __init__(self, folder: Path, manifest: dict[str, Any], index: IdIndex | None = None) -> None:
        counts = manifest["shards"] if files.is_sharded(manifest) else [manifest["count"]]
        starts = list(accumulate(counts[:-1], initial=0))
        parts = zip(files.shard_names(manifest), starts, counts, strict=True)
        self._shards = [Shard(folder, manifest, *part) for part in parts]
        self._starts, self._index, self.rows = np.array(starts), index, manifest["count"]

    def __getitem__(self, number: int) -> Shard:
        return self._shards[number]

    def __len__(self) -> int:
        return len(self._shards)

    def locate(self, row: int) -> tuple[Shard, int]:
        """Return the shard of a row, 0 <= row < n, and the row's number in the shard."""
        shard = self[int(self._starts.searchsorted(row, "right")) - 1]
        return shard, row - shard.first

    def groups(self, rows: NDArray[np.int64]) -> Iterator[tuple[Shard, NDArray[np.int64], NDArray[np.int64]]]:
        """Yield each shard with some of the rows, their places in `rows`, and their numbers in the shard."""
        numbers = self._starts.searchsorted(rows, "right") - 1
        for number in np.unique(numbers).tolist():
            asked = np.flatnonzero(numbers == number)
            yield self[number], asked, rows[asked] - self[number].first

    @property
    def items(self) -> pl.DataFrame:
        """All items, columns of ``SCHEMA``; the table is made at each use."""
        return pl.concat([as_frame(shard.items) for shard in self])

    @property
    def ids(self) -> pl.Series:
        """Item ids by row."""
        return pl.concat([pl.Series("item_id", shard.items["item_id"]) for shard in self])

    def take(self, rows: NDArray[np.int64]) -> pl.DataFrame:
        """Return some of the items, in the order of `rows`."""
        parts, order = [pl.DataFrame(schema=SCHEMA)], [np.empty(0, np.int64)]
        for shard, asked, places in self.groups(rows):
            parts.append(as_frame(shard.items.take(places)))
            order.append(asked)
        return pl.concat(parts)[np.argsort(np.concatenate(order))]

    def row(self, item_id: str) -> int | None:
        """Return the row of an item; None: there is no such item."""
        for row in self._candidates(item_id):
            if not 0 <= row < self.rows:
                raise StoreError(f"the index of ids names row {row}", str(self[0].path.parent), REMEDY)
            shard, place = self.locate(row)
            if shard.items["item_id"][place].as_py() == item_id:
                return row
        return None

    @cached_property
    def _candidates(self) -> Callable[[str], Iterable[int]]:
        """Function from an id to the rows that may have the id."""
        if self._index is not None:
            return self._index.find
        rows = {item_id: row for row, item_id in enumerate(self.ids)}
        return lambda item_id: [rows[item_id]] if item_id in rows else []


class ShardedVectors(Vectors):
    """The vectors of all shards, float32 [n, d]; only the shards of the asked rows are read."""

    dtype, ndim = np.dtype(np.float32), 2

    def __init__(self, shards: Shards, width: int) -> None:
        self._shards, self._shape = shards, (shards.rows, width)

    @property
    def shape(self) -> tuple[int, int]:
        """Number of vectors and their width."""
        return self._shape

    def __getitem__(self, rows: int | np.integer | slice | Sequence[int] | NDArray) -> NDArray[np.float32]:
        """Return one row [d], or several [m, d]. One row, or a slice within one shard, is not copied."""
        if isinstance(rows, slice):
            start, stop, step = rows.indices(len(self))
            if step == 1:
                return self._between(start, stop)
            rows = np.arange(start, stop, step)
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

    def _between(self, start: int, stop: int) -> NDArray[np.float32]:
        shards = (
            shard for shard in self._shards if max(start, shard.first) < min(stop, shard.first + shard.count)
        )
        pieces = [shard.vectors[max(0, start - shard.first) : stop - shard.first] for shard in shards]
        nothing = np.empty((0, self.shape[1]), np.float32)
        return pieces[0] if len(pieces) == 1 else np.concatenate([nothing, *pieces])


def as_frame(items: pa.Table) -> pl.DataFrame:
    """Return items as a table of ``SCHEMA``."""
    return pl.DataFrame({name: pl.Series(items[name]) for name in ARROW.names}, SCHEMA)


def _map_arrow(path: Path) -> pa.Table:
    """Map an Arrow file of items into memory; it must hold one batch of ``ARROW``."""
    try:
        reader = pa.ipc.open_file(pa.memory_map(str(path)))
        batches = [reader.get_batch(number) for number in range(reader.num_record_batches)]
        for batch in batches:
            batch.validate(full=True)
        names = reader.schema.names  # raises for a name that is not UTF-8
    except (pa.ArrowException, OSError, ValueError) as error:
        raise StoreError(f"not an Arrow file: {error}", str(path), REMEDY) from None
    if reader.schema != ARROW or len(batches) != 1:
        what = f"{len(batches)} batches of {names}, not one of {ARROW.names}"
        raise StoreError(what, str(path), REMEDY)
    return pa.Table.from_batches(batches)
