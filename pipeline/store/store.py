"""The embedding store: a folder of item vectors that any project can read with numpy and a Parquet reader."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ..core.errors import DataError, ParamsError, StoreError
from ..core.files import sha256_json
from . import store_files as files
from .shards import ShardedVectors, Shards
from .vectors import Vectors
from .whitening import WhitenedVectors, Whitening

COMPARED = 4096  # vectors held in float64 at a time while neighbours are searched


@dataclass(frozen=True, eq=False)
class EmbeddingStore:
    """The vectors of items, the items, and the settings of the encoder."""

    folder: Path
    manifest: dict[str, Any]  # content of `manifest.json`
    shards: Shards  # the files of vectors and items; a plain store has one shard
    vectors: Vectors  # float32 [n, d], read-only: the encoder's output, not whitened
    whitening: Whitening  # the map fitted on these vectors

    @classmethod
    def open(cls, path: str | Path) -> "EmbeddingStore":
        """Open a store. The files of a plain store are checked at once, a shard's files when they are first read.

        Raises:
            StoreError: a file is missing or damaged, or the files do not fit together.
        """
        folder = Path(path)
        manifest = files.read_manifest(folder)
        shards = Shards(folder, manifest)
        if files.is_sharded(manifest):
            for name in files.files_of(manifest):
                files.check_present(folder / name)
            _ = shards.id_index
            for shard in shards:
                shard.map_vectors()
            vectors = ShardedVectors(shards, (manifest["count"], manifest["dimension"]))
        else:
            vectors = shards[0].vectors
            files.check_ids(folder, manifest, shards.ids)
        files.check_hash(folder / files.WHITENING, manifest)
        return cls(folder, manifest, shards, vectors, Whitening.of_store(folder, manifest))

    def check_finite(self) -> None:
        """Raise ``StoreError`` for the first vector with a number that is not finite."""
        for shard in self.shards:
            files.check_finite(shard.path, shard.vectors)

    @property
    def hash(self) -> str:
        """SHA-256 over vectors, ids and whitening; an index or a model is tied to it."""
        hashes = self.manifest["files"]
        vectors = [hashes[name] for name, _ in files.shard_names(self.manifest)]
        matrix = vectors if files.is_sharded(self.manifest) else vectors[0]
        return sha256_json([matrix, self.manifest["ids_sha256"], hashes[files.WHITENING]])

    @property
    def items(self) -> pl.DataFrame:
        """Row, item_id, title, text and text_hash of all n items; the table is made at each use."""
        return pl.concat([pl.DataFrame(shard.items) for shard in self.shards])

    @property
    def item_ids(self) -> list[str]:
        """Item ids by row."""
        return self.shards.ids.to_list()

    def row(self, item_id: str | int) -> int:
        """Return the row of an item; raise ``DataError`` if there is no such item."""
        item_id = str(item_id)
        for row in self.shards.id_index.find(item_id):
            if not 0 <= row < len(self.vectors):
                raise StoreError(f"the index of ids names row {row}", str(self.folder), files.REMEDY)
            shard, place = self.shards.locate(row)
            if shard.items["item_id"][place].as_py() == item_id:
                return row
        raise DataError(f"no item {item_id!r}", str(self.folder), "use an id of the store's items")

    def vector(self, item_id: str | int) -> NDArray[np.float32]:
        """Return the vector of an item, float32 [d], read-only; raises as ``row`` does."""
        return self.vectors[self.row(item_id)]

    def vectors_of(self, item_ids: Iterable[str]) -> NDArray[np.float32]:
        """Return the vectors of n items, in their order, float32 [n, d]; raises as ``row`` does."""
        return self.vectors[np.array([self.row(item_id) for item_id in item_ids], np.int64)]

    def neighbours(self, item_id: str, k: int, raw: bool = False) -> pl.DataFrame:
        """Return the `k` other items, or all if there are fewer, that are most similar to an item by exact cosine.

        If `raw`, the encoder's vectors are compared, else the whitened vectors, which the models use.

        Returns:
            row, item_id, title and cosine (float64; 0 if a vector is zero), best first, ties by row.

        Raises:
            DataError: there is no such item.
            ParamsError: `k` is below 1.
            StoreError: a vector is not finite.
        """
        if k < 1:
            raise ParamsError(f"{k} neighbours are asked for", "k", "ask for 1 or more")
        row = self.row(item_id)
        self.check_finite()
        vectors = self.vectors if raw else WhitenedVectors(self.whitening, self.vectors)
        cosines = _cosines(vectors, vectors[row])  # [n]
        order = np.argsort(-cosines, kind="stable")
        order = order[order != row][:k]
        neighbours = self.shards.take(order).select("row", "item_id", "title")
        return neighbours.with_columns(pl.Series("cosine", cosines[order]))

    def whitened(self) -> NDArray[np.float32]:
        """Return the whitened vectors, float32 [n, w]; raise ``StoreError`` if a vector is not finite."""
        self.check_finite()
        return self.whitening.apply(self.vectors)


def _cosines(vectors: Vectors, query: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the cosines [n] of vectors [n, d] with a query [d], each by the same sums, so that equal vectors tie."""
    count, wide = vectors.shape[0], query.astype(np.float64)
    cosines = np.zeros(count)
    for start in range(0, count, COMPARED):
        rows = vectors[start : start + COMPARED].astype(np.float64)
        norms = np.sqrt((rows**2).sum(1) * (wide**2).sum())
        np.divide((rows * wide).sum(1), norms, out=cosines[start : start + COMPARED], where=norms > 0)
    return cosines
