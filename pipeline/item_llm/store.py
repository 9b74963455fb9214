"""The embedding store: a folder of item vectors that any project can read with numpy and a Parquet reader."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from ..errors import DataError, StoreError
from ..files import atomic_directory, read_json, sha256_file, sha256_json, write_json
from .whitening import CHUNK, Whitening

SCHEMA_VERSION = 1

VECTORS = "embeddings.npy"
ITEMS = "items.parquet"
EXPORT = "embeddings.parquet"
WHITENING = "whitening.safetensors"
MANIFEST = "manifest.json"

REMEDY = "run `dvc repro encode`, or fetch the store again (`dvc pull`, `dvc update`)"

SCHEMA = pl.Schema(
    {"row": pl.Int32, "item_id": pl.String, "title": pl.String, "text": pl.String, "text_hash": pl.String}
)


def text_hash(text: str) -> str:
    """Return the hex SHA-256 of a text in UTF-8."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


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
                "ids_sha256": _ids_hash(table),
                "files": {
                    name: sha256_file(temporary / name) for name in (VECTORS, ITEMS, EXPORT, WHITENING)
                },
            }
            write_json(temporary / MANIFEST, manifest)

    @classmethod
    def open(cls, folder: Path) -> "EmbeddingStore":
        """Open a store after checking hashes, shapes and the order of ids.

        Raises:
            StoreError: something is missing, damaged, of another version, or does not fit together.
        """
        manifest = _read_manifest(folder)
        for name in (VECTORS, ITEMS, WHITENING):
            _check_hash(folder, manifest, name)
        vectors, items = _read_vectors(folder / VECTORS), _read_items(folder / ITEMS)
        whitening = Whitening.load(folder / WHITENING)
        store = cls(folder, manifest, vectors, items, whitening)
        store._check_shapes()
        return store

    def verify(self) -> None:
        """Check what ``open`` leaves out: every vector, every text's hash, and the Parquet export.

        Raises:
            StoreError: names the file and the first row that is wrong.
        """
        for start in range(0, len(self.vectors), CHUNK):
            finite = np.isfinite(self.vectors[start : start + CHUNK]).all(axis=1)
            _check_rows(finite, start, self.folder / VECTORS, "the vector is not finite")
        hashes = np.array([text_hash(text) for text in self.items["text"]])
        same = hashes == self.items["text_hash"].to_numpy()
        _check_rows(same, 0, self.folder / ITEMS, "text_hash is not the hash of text")
        _check_hash(self.folder, self.manifest, EXPORT)
        export = pl.read_parquet(self.folder / EXPORT)
        path = self.folder / EXPORT
        if export.columns != ["item_id", "embedding"] or len(export) != len(self.items):
            raise StoreError(f"columns {export.columns}, {len(export)} rows", str(path), REMEDY)
        same = (export["item_id"] == self.items["item_id"]).to_numpy()
        _check_rows(same, 0, path, f"item_id is not that of {ITEMS}")
        same = (export["embedding"].to_numpy() == self.vectors).all(1)
        _check_rows(same, 0, path, f"embedding is not that of {VECTORS}")

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

    def whitened(self) -> NDArray[np.float32]:
        """Return the whitened vectors, float32 [n, w]."""
        return self.whitening.apply(self.vectors)

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {item_id: row for row, item_id in enumerate(self.item_ids)}

    def _check_shapes(self) -> None:
        count, width = self.manifest["count"], self.manifest["dimension"]
        whitened = self.manifest["whitened_dimension"]
        shapes = {
            VECTORS: (self.vectors.shape, (count, width)),
            ITEMS: ((len(self.items),), (count,)),
            WHITENING: (self.whitening.projection.shape, (width, whitened)),
        }
        for name, (shape, expected) in shapes.items():
            if shape != expected:
                raise StoreError(
                    f"shape {shape}, but {MANIFEST} says {expected}", str(self.folder / name), REMEDY
                )
        if _ids_hash(self.items) != self.manifest["ids_sha256"]:
            raise StoreError(f"item ids are not those of {MANIFEST}", str(self.folder / ITEMS), REMEDY)


def _ids_hash(items: pl.DataFrame) -> str:
    """Return the SHA-256 of the item ids as a JSON list, in order of rows."""
    return sha256_json(items["item_id"].to_list())


def _read_manifest(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST
    try:
        manifest = read_json(path)
    except DataError as error:
        raise StoreError(error.what, error.where, REMEDY) from None
    version = manifest.get("schema_version") if isinstance(manifest, dict) else None
    if version != SCHEMA_VERSION:
        raise StoreError(
            f"schema version {version}; this program reads version {SCHEMA_VERSION}",
            str(path),
            "encode again, or use the release of hierrec that wrote it",
        )
    wanted = {"count", "dimension", "whitened_dimension", "ids_sha256", "files"}
    files = manifest.get("files")
    missing = sorted(wanted - manifest.keys()) or sorted(
        f"files.{name}" for name in (VECTORS, ITEMS, EXPORT, WHITENING) if name not in (files or {})
    )
    if missing:
        raise StoreError(f"key {missing[0]} is missing", str(path), REMEDY)
    return manifest


def _check_hash(folder: Path, manifest: dict[str, Any], name: str) -> None:
    path = folder / name
    if not path.is_file():
        raise StoreError("file is missing", str(path), REMEDY)
    if sha256_file(path) != manifest["files"][name]:
        raise StoreError(f"content has another hash than {MANIFEST} says", str(path), REMEDY)


def _read_vectors(path: Path) -> NDArray[np.float32]:
    try:
        vectors = np.load(path, mmap_mode="r", allow_pickle=False)
    except ValueError as error:
        raise StoreError(f"not a numpy matrix: {error}", str(path), REMEDY) from None
    if vectors.dtype != np.dtype("<f4"):
        raise StoreError(f"numbers are {vectors.dtype}, not float32", str(path), REMEDY)
    return vectors


def _read_items(path: Path) -> pl.DataFrame:
    try:
        items = pl.read_parquet(path)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise StoreError(f"not a Parquet table: {error}", str(path), REMEDY) from None
    if items.schema != SCHEMA:
        raise StoreError(f"columns are {dict(items.schema)}, not {dict(SCHEMA)}", str(path), REMEDY)
    ordered = items["row"].to_numpy() == np.arange(len(items))
    _check_rows(ordered, 0, path, "column row is not the row's number")
    _check_rows(items["item_id"].is_first_distinct().to_numpy(), 0, path, "the item id is there twice")
    return items


def _check_rows(right: ArrayLike, start: int, path: Path, problem: str) -> None:
    wrong = np.flatnonzero(~np.asarray(right, np.bool_))
    if len(wrong):
        raise StoreError(problem, f"{path}, row {start + wrong[0]}", REMEDY)
