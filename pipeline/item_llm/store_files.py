"""The files of an embedding store, and readers that check each against the manifest."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import ArrayLike, NDArray

from ..errors import DataError, StoreError
from ..files import map_npy, read_json, sha256_file, sha256_json
from .whitening import CHUNK, Whitening

SCHEMA_VERSION = 1

VECTORS = "embeddings.npy"
ITEMS = "items.parquet"
EXPORT = "embeddings.parquet"
WHITENING = "whitening.safetensors"
MANIFEST = "manifest.json"
FILES = (VECTORS, ITEMS, EXPORT, WHITENING)
"""What the manifest holds a hash of."""
KEYS = (
    "model",
    "pooling",
    "max_length",
    "dtype",
    "template",
    "count",
    "dimension",
    "whitened_dimension",
    "ids_sha256",
    "files",
)
"""What the manifest says beside its schema version."""
MODEL_KEYS = ("id", "revision", "config_sha256", "tokenizer_sha256", "weights_sha256")

REMEDY = "run `dvc repro encode`, or fetch the store again (`dvc pull`, `dvc update`)"
REBUILD = (
    "make it again (`dvc repro encode` where it comes from), or use the release of hierrec that wrote it"
)

SCHEMA = pl.Schema(
    {"row": pl.Int32, "item_id": pl.String, "title": pl.String, "text": pl.String, "text_hash": pl.String}
)


def text_hash(text: str) -> str:
    """Return the hex SHA-256 of a text in UTF-8."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def ids_hash(items: pl.DataFrame) -> str:
    """Return the SHA-256 of the item ids as a JSON list, in order of rows."""
    return sha256_json(items["item_id"].to_list())


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read `manifest.json`.

    Raises:
        StoreError: it is missing, damaged, or of another schema version.
    """
    path = folder / MANIFEST
    try:
        manifest = read_json(path)
    except DataError as error:
        raise StoreError(error.what, error.where, REMEDY) from None
    version = manifest.get("schema_version") if isinstance(manifest, dict) else None
    if version != SCHEMA_VERSION:
        what = f"schema version {version}; this program reads version {SCHEMA_VERSION}"
        raise StoreError(what, str(path), REBUILD)
    missing = [key for key in KEYS if key not in manifest]
    for key, names in (("model", MODEL_KEYS), ("files", FILES)):
        section = manifest.get(key)
        known = section if isinstance(section, dict) else {}
        missing += [f"{key}.{name}" for name in names if name not in known]
    if missing:
        raise StoreError(f"key {missing[0]} is missing", str(path), REMEDY)
    return manifest


def check_hash(folder: Path, manifest: dict[str, Any], name: str) -> None:
    """Check that a file is there and is the one that the manifest describes.

    Raises:
        StoreError: it is not.
    """
    path = folder / name
    if not path.is_file():
        raise StoreError("file is missing", str(path), REMEDY)
    if sha256_file(path) != manifest["files"][name]:
        raise StoreError(f"content has another hash than {MANIFEST} says", str(path), REMEDY)


def read_vectors(folder: Path, manifest: dict[str, Any]) -> NDArray[np.float32]:
    """Map `embeddings.npy` into memory, float32 [n, d].

    Raises:
        StoreError: it is no numpy matrix, or one of another type or shape.
    """
    path = folder / VECTORS
    try:
        vectors = map_npy(path)
    except DataError as error:
        raise StoreError(error.what, error.where, REMEDY) from None
    if vectors.dtype != np.dtype("<f4"):
        raise StoreError(f"numbers are {vectors.dtype}, not float32", str(path), REMEDY)
    _check_shape(path, vectors.shape, (manifest["count"], manifest["dimension"]))
    return vectors


def read_items(folder: Path, manifest: dict[str, Any]) -> pl.DataFrame:
    """Read `items.parquet`: row i describes vector i.

    Raises:
        StoreError: it is no table, or one of other columns, rows or ids.
    """
    path = folder / ITEMS
    items = _read_table(path, SCHEMA)
    _check_shape(path, (len(items),), (manifest["count"],))
    ordered = items["row"].to_numpy() == np.arange(len(items))
    _check_rows(ordered, 0, path, "column row is not the row's number")
    _check_rows(items["item_id"].is_first_distinct().to_numpy(), 0, path, "the item id is there twice")
    if ids_hash(items) != manifest["ids_sha256"]:
        raise StoreError(f"item ids are not those of {MANIFEST}", str(path), REMEDY)
    return items


def read_whitening(folder: Path, manifest: dict[str, Any]) -> Whitening:
    """Read `whitening.safetensors`.

    Raises:
        StoreError: it is no whitening map, or one of another shape.
    """
    path = folder / WHITENING
    whitening = Whitening.load(path)
    expected = (manifest["dimension"], manifest["whitened_dimension"])
    _check_shape(path, whitening.projection.shape, expected)
    return whitening


def check_finite(folder: Path, vectors: NDArray[np.float32]) -> None:
    """Check every number.

    Raises:
        StoreError: names the first row that is wrong.
    """
    for start in range(0, len(vectors), CHUNK):
        finite = np.isfinite(vectors[start : start + CHUNK]).all(axis=1)
        _check_rows(finite, start, folder / VECTORS, "the vector is not finite")


def check_texts(folder: Path, items: pl.DataFrame) -> None:
    """Check every text's hash.

    Raises:
        StoreError: names the first row that is wrong.
    """
    hashes = pl.Series([text_hash(text) for text in items["text"]], dtype=pl.String)
    same = hashes == items["text_hash"]
    _check_rows(same.to_numpy(), 0, folder / ITEMS, "text_hash is not the hash of text")


def check_export(folder: Path, items: pl.DataFrame, vectors: NDArray[np.float32]) -> None:
    """Check that `embeddings.parquet` holds the same ids and vectors.

    Raises:
        StoreError: names what differs, and the first row that does.
    """
    path = folder / EXPORT
    schema = pl.Schema({"item_id": pl.String, "embedding": pl.Array(pl.Float32, vectors.shape[1])})
    export = _read_table(path, schema)
    _check_shape(path, (len(export),), (len(items),))
    same = export["item_id"] == items["item_id"]
    _check_rows(same.to_numpy(), 0, path, f"item_id is not that of {ITEMS}")
    same = (export["embedding"].to_numpy() == vectors).all(1)
    _check_rows(same, 0, path, f"embedding is not that of {VECTORS}")


def _read_table(path: Path, schema: pl.Schema) -> pl.DataFrame:
    try:
        arrow = pq.read_table(path)  # by pyarrow, because polars panics on some damaged files
        arrow.validate(full=True)
        table = pl.DataFrame({name: pl.Series(arrow[name]) for name in arrow.column_names})
    except (pa.ArrowException, OSError, ValueError, pl.exceptions.PolarsError) as error:
        raise StoreError(f"not a Parquet table: {error}", str(path), REMEDY) from None
    if table.schema != schema:
        raise StoreError(f"columns are {dict(table.schema)}, not {dict(schema)}", str(path), REMEDY)
    return table


def _check_shape(path: Path, shape: tuple[int, ...], expected: tuple[Any, ...]) -> None:
    if shape != expected:
        raise StoreError(f"shape {shape}, but {MANIFEST} says {expected}", str(path), REMEDY)


def _check_rows(right: ArrayLike, start: int, path: Path, problem: str) -> None:
    wrong = np.flatnonzero(~np.asarray(right, np.bool_))
    if len(wrong):
        raise StoreError(problem, f"{path}, row {start + wrong[0]}", REMEDY)
