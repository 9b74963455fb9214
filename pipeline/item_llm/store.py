"""The embedding store: a folder of item vectors that any project can read with numpy and a Parquet reader."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ..errors import DataError, ParamsError
from ..files import atomic_directory, sha256_file, sha256_json, write_json
from .store_files import (
    EXPORT,
    FILES,
    ITEMS,
    MANIFEST,
    SCHEMA_VERSION,
    VECTORS,
    WHITENING,
    check_export,
    check_finite,
    check_hash,
    check_texts,
    ids_hash,
    read_items,
    read_manifest,
    read_vectors,
    read_whitening,
    text_hash,
)
from .whitening import Whitening

COMPARED = 4096
"""Vectors held in float64 at a time while neighbours are looked for."""


@dataclass(frozen=True, eq=False)
class EmbeddingStore:
    """Item vectors, the ids they belong to, and how they were made.

    Attributes:
        folder: where the store lies.
        manifest: content of `manifest.json`.
        vectors: float32 [n, d], memory-mapped and read-only: the encoder's output, not whitened.
        items: row, item_id, title, text, text_hash; row i describes vector i.
        whitening: the map fitted on these vectors.
    """

    folder: Path
    manifest: dict[str, Any]
    vectors: NDArray[np.float32]
    items: pl.DataFrame
    whitening: Whitening

    @staticmethod
    def write(
        folder: Path,
        items: pl.DataFrame,
        texts: Sequence[str],
        vectors: NDArray[np.float32],
        whitening: Whitening,
        template: str,
        description: dict[str, Any],
    ) -> None:
        """Write a store as a whole, replacing `folder`; equal content gives equal bytes.

        Args:
            folder: where to.
            items: item_id and title, one row per item.
            texts: what was encoded.
            vectors: float32 [n, d], finite.
            whitening: fitted on `vectors`.
            template: the texts'.
            description: the encoder's, ``ItemEncoder.description``.
        """
        vectors = np.ascontiguousarray(vectors, "<f4")
        table = items.select(
            pl.int_range(pl.len(), dtype=pl.Int32).alias("row"),
            pl.col("item_id", "title"),
            pl.Series("text", texts, pl.String),
            pl.Series("text_hash", [text_hash(text) for text in texts], pl.String),
        )
        export = table.select(
            "item_id", pl.Series("embedding", vectors, pl.Array(pl.Float32, vectors.shape[1]))
        )
        with atomic_directory(folder) as temporary:
            np.save(temporary / VECTORS, vectors, allow_pickle=False)
            table.write_parquet(temporary / ITEMS, compression="zstd")
            export.write_parquet(temporary / EXPORT, compression="zstd")
            whitening.save(temporary / WHITENING)
            manifest = {
                "schema_version": SCHEMA_VERSION,
                **description,
                "template": template,
                "count": vectors.shape[0],
                "dimension": vectors.shape[1],
                "whitened_dimension": whitening.projection.shape[1],
                "ids_sha256": ids_hash(table),
                "files": {name: sha256_file(temporary / name) for name in FILES},
            }
            write_json(temporary / MANIFEST, manifest)

    @classmethod
    def open(cls, path: str | Path) -> "EmbeddingStore":
        """Open the store in a folder after checking hashes, shapes and the order of ids.

        Raises:
            StoreError: something is missing, damaged, of another version, or does not fit together.
        """
        folder = Path(path)
        manifest = read_manifest(folder)
        for name in (VECTORS, ITEMS, WHITENING):
            check_hash(folder, manifest, name)
        vectors, items = read_vectors(folder, manifest), read_items(folder, manifest)
        return cls(folder, manifest, vectors, items, read_whitening(folder, manifest))

    def verify(self) -> None:
        """Check what ``open`` leaves out: every vector, every text's hash, and the Parquet export.

        Raises:
            StoreError: names the file and the first row that is wrong.
        """
        check_finite(self.folder, self.vectors)
        check_texts(self.folder, self.items)
        check_hash(self.folder, self.manifest, EXPORT)
        check_export(self.folder, self.items, self.vectors)

    @property
    def hash(self) -> str:
        """SHA-256 over vectors, ids and whitening: what an index or a model was made from."""
        files = self.manifest["files"]
        return sha256_json([files[VECTORS], self.manifest["ids_sha256"], files[WHITENING]])

    @property
    def item_ids(self) -> list[str]:
        """Item ids by row."""
        return self.items["item_id"].to_list()

    def row(self, item_id: str) -> int:
        """Return the row of an item.

        Raises:
            DataError: there is no such item.
        """
        try:
            return self._rows[item_id]
        except KeyError:
            raise DataError(f"no item {item_id!r}", str(self.folder), "use an id of items.parquet") from None

    def vector(self, item_id: str) -> NDArray[np.float32]:
        """Return the vector of an item, float32 [d], read-only; raises as ``row`` does."""
        return self.vectors[self.row(item_id)]

    def vectors_of(self, item_ids: Iterable[str]) -> NDArray[np.float32]:
        """Return the vectors of n items, in their order, float32 [n, d]; raises as ``row`` does."""
        return self.vectors[np.array([self.row(item_id) for item_id in item_ids], np.int64)]

    def neighbours(self, item_id: str, k: int) -> pl.DataFrame:
        """Return the items most similar to an item, itself left out: exact cosine of the vectors as they are.

        Args:
            item_id: the item.
            k: neighbours wanted, at least 1; a store of fewer other items gives them all.

        Returns:
            row, item_id, title and cosine (float64; 0 where a vector is zero), best first, equal ones by row.

        Raises:
            DataError: there is no such item.
            ParamsError: `k` is below 1.
        """
        if k < 1:
            raise ParamsError(f"{k} neighbours are asked for", "k", "ask for 1 or more")
        row = self.row(item_id)
        cosines = _cosines(self.vectors, self.vectors[row])  # [n]
        order = np.argsort(-cosines, kind="stable")
        order = order[order != row][:k]
        neighbours = self.items[order].select("row", "item_id", "title")
        return neighbours.with_columns(pl.Series("cosine", cosines[order]))

    def whitened(self) -> NDArray[np.float32]:
        """Return the whitened vectors, float32 [n, w].

        Raises:
            StoreError: a vector is not finite; names the first.
        """
        check_finite(self.folder, self.vectors)
        return self.whitening.apply(self.vectors)

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {item_id: row for row, item_id in enumerate(self.item_ids)}


def _cosines(vectors: NDArray[np.float32], query: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the cosines [n] of vectors [n, d] with a query [d], each by the same sums: equal vectors tie."""
    cosines, wide = np.zeros(len(vectors)), query.astype(np.float64)
    for start in range(0, len(vectors), COMPARED):
        rows = vectors[start : start + COMPARED].astype(np.float64)
        norms = np.sqrt((rows**2).sum(1) * (wide**2).sum())
        np.divide((rows * wide).sum(1), norms, out=cosines[start : start + COMPARED], where=norms > 0)
    return cosines
