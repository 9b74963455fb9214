"""Index from item ids to rows: sorted hashes of the ids, searched on the disk."""

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ..core.errors import StoreError
from .store_files import HASHES, INDEX, MANIFEST, REMEDY, ROWS, check_hash, check_rows, map_array


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
        np.save(folder / HASHES, hashes[order].astype("<u8"), allow_pickle=False)
        np.save(folder / ROWS, order.astype("<i4"), allow_pickle=False)

    @classmethod
    def open(cls, folder: Path, manifest: dict[str, Any]) -> "IdIndex":
        """Check the hashes of the index's files, then ``map`` them."""
        for name in INDEX:
            check_hash(folder, manifest, name)
        return cls.map(folder, manifest)

    @classmethod
    def map(cls, folder: Path, manifest: dict[str, Any]) -> "IdIndex":
        """Map the index into memory; raise ``StoreError`` if a file is missing or not that of the manifest."""
        found, count = [map_array(folder / name) for name in INDEX], manifest["count"]
        for name, numbers, dtype in zip(INDEX, found, ("<u8", "<i4"), strict=True):
            if numbers.dtype != np.dtype(dtype) or numbers.shape != (count,):
                what = f"{numbers.dtype} of shape {numbers.shape}, but {MANIFEST} says {count} items"
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
        for name, found, right in ((HASHES, self.hashes, hashes[order]), (ROWS, self.rows, order)):
            check_rows(found == right, 0, folder / name, "not the index of the item ids")


def id_hashes(ids: Iterable[str]) -> NDArray[np.uint64]:
    """Return the first eight bytes of each id's SHA-256 as a number, uint64 [n]."""
    digests = b"".join(hashlib.sha256(item_id.encode("utf-8")).digest()[:8] for item_id in ids)
    return np.frombuffer(digests, ">u8").astype(np.uint64)
