"""The embedding store: a folder of item vectors that any project can read with numpy and a Parquet reader."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ..core.errors import DataError, ParamsError
from ..core.files import sha256_json
from .id_index import IdIndex
from .shards import Items, ShardedVectors, Shards
from .store_files import (
    WHITENING,
    check_finite,
    check_hash,
    check_ids,
    is_sharded,
    read_manifest,
    shard_names,
)
from .vectors import Vectors
from .whitening import WhitenedVectors, Whitening

COMPARED = 4096
"""Vectors held in float64 at a time while neighbours are looked for."""


@dataclass(frozen=True, eq=False)
class EmbeddingStore:
    """Item vectors, the ids they belong to, and how they were made.

    Attributes:
        folder: where the store lies.
        manifest: content of `manifest.json`.
        shards: the files of vectors and items; a plain store has one shard.
        vectors: float32 [n, d], read-only: the encoder's output, not whitened.
        catalogue: the items; row i describes vector i.
        whitening: the map fitted on these vectors.
    """

    folder: Path
    manifest: dict[str, Any]
    shards: Shards
    vectors: Vectors
    catalogue: Items
    whitening: Whitening

    @classmethod
    def open(cls, path: str | Path) -> "EmbeddingStore":
        """Open a store. A plain store is checked as a whole, a shard when it is first read.

        Raises:
            StoreError: a file is missing or damaged, or the files do not fit together.
        """
        folder = Path(path)
        manifest = read_manifest(folder)
        shards = Shards(folder, manifest)
        if is_sharded(manifest):
            shards.check_files()
            vectors = ShardedVectors(shards, manifest["dimension"])
            items = Items(shards, IdIndex.open(folder, manifest))
        else:
            vectors, items = shards[0].vectors, Items(shards, None)
            check_ids(folder, manifest, items.ids)
        check_hash(folder, manifest, WHITENING)
        shape = (manifest["dimension"], manifest["whitened_dimension"])
        return cls(folder, manifest, shards, vectors, items, Whitening.load(folder / WHITENING, shape))

    def check_finite(self) -> None:
        """Check every number of every vector.

        Raises:
            StoreError: names the file and the first row with a number that is not finite.
        """
        for shard in self.shards:
            check_finite(shard.path, shard.vectors)

    @property
    def hash(self) -> str:
        """SHA-256 over vectors, ids and whitening. An index or a model is tied to it."""
        files = self.manifest["files"]
        vectors = [files[name] for name, _ in shard_names(self.manifest)]
        first = vectors if is_sharded(self.manifest) else vectors[0]
        return sha256_json([first, self.manifest["ids_sha256"], files[WHITENING]])

    @property
    def items(self) -> pl.DataFrame:
        """Row, item_id, title, text, text_hash, all n rows; made anew at each use."""
        return self.catalogue.table

    @property
    def item_ids(self) -> list[str]:
        """Item ids by row."""
        return self.catalogue.ids.to_list()

    def row(self, item_id: str) -> int:
        """Return the row of an item.

        Raises:
            DataError: there is no such item.
        """
        row = self.catalogue.row(item_id)
        if row is None:
            raise DataError(f"no item {item_id!r}", str(self.folder), "use an id of the store's items")
        return row

    def vector(self, item_id: str) -> NDArray[np.float32]:
        """Return the vector of an item, float32 [d], read-only; raises as ``row`` does."""
        return self.vectors[self.row(item_id)]

    def vectors_of(self, item_ids: Iterable[str]) -> NDArray[np.float32]:
        """Return the vectors of n items, in their order, float32 [n, d]; raises as ``row`` does."""
        return self.vectors[np.array([self.row(item_id) for item_id in item_ids], np.int64)]

    def neighbours(self, item_id: str, k: int, raw: bool = False) -> pl.DataFrame:
        """Return the items most similar to an item, itself left out: exact cosine of the whitened vectors.

        The models and `hierrec similar` compare whitened vectors, too.

        Args:
            item_id: the item.
            k: neighbours wanted, at least 1; a store of fewer other items gives them all.
            raw: compare the encoder's vectors, in place of the whitened ones.

        Returns:
            row, item_id, title and cosine (float64; 0 where a vector is zero), best first, equal ones by row.

        Raises:
            DataError: there is no such item.
            ParamsError: `k` is below 1.
        """
        if k < 1:
            raise ParamsError(f"{k} neighbours are asked for", "k", "ask for 1 or more")
        row = self.row(item_id)
        vectors = self.vectors if raw else WhitenedVectors(self.whitening, self.vectors)
        cosines = _cosines(vectors, vectors[row])  # [n]
        order = np.argsort(-cosines, kind="stable")
        order = order[order != row][:k]
        neighbours = self.catalogue.take(order).select("row", "item_id", "title")
        return neighbours.with_columns(pl.Series("cosine", cosines[order]))

    def whitened(self) -> NDArray[np.float32]:
        """Return the whitened vectors, float32 [n, w].

        Raises:
            StoreError: a vector is not finite; names the first.
        """
        self.check_finite()
        return self.whitening.apply(self.vectors)


def _cosines(vectors: Vectors, query: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the cosines [n] of vectors [n, d] with a query [d], each by the same sums: equal vectors tie."""
    count, wide = vectors.shape[0], query.astype(np.float64)
    cosines = np.zeros(count)
    for start in range(0, count, COMPARED):
        rows = vectors[start : start + COMPARED].astype(np.float64)
        norms = np.sqrt((rows**2).sum(1) * (wide**2).sum())
        np.divide((rows * wide).sum(1), norms, out=cosines[start : start + COMPARED], where=norms > 0)
    return cosines
