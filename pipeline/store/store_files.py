"""The files of an embedding store, and readers that check each against the manifest."""

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import ArrayLike, NDArray

from ..core.errors import DataError, StoreError
from ..core.files import map_npy, read_json, sha256_file, sha256_json
from .whitening import CHUNK, Whitening

SCHEMA_VERSION = 1
SHARDED_VERSION = 2
"""Of a store whose vectors and items lie in shards."""

VECTORS = "embeddings.npy"
ITEMS = "items.parquet"
EXPORT = "embeddings.parquet"
WHITENING = "whitening.safetensors"
MANIFEST = "manifest.json"
FILES = (VECTORS, ITEMS, EXPORT, WHITENING)
"""What the manifest holds a hash of."""
HASHES = "id_hashes.npy"
ROWS = "id_rows.npy"
INDEX = (HASHES, ROWS)
"""Of a store in shards: from an id to its row."""
SHARD = re.compile(r"(embeddings-\d{5,}\.npy|items-\d{5,}\.arrow)")
"""How a shard's files are called."""
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


def item_table(items: pl.DataFrame, texts: Sequence[str], first: int = 0) -> pl.DataFrame:
    """Return the columns of ``SCHEMA`` of items (item_id, title) with these texts, rows counted from `first`."""
    return items.select(
        pl.int_range(first, first + pl.len(), dtype=pl.Int32).alias("row"),
        pl.col("item_id", "title"),
        pl.Series("text", texts, pl.String),
        pl.Series("text_hash", [text_hash(text) for text in texts], pl.String),
    )


def ids_hash(ids: pl.Series) -> str:
    """Return the SHA-256 of the item ids as a JSON list, in order of rows."""
    return sha256_json(ids.to_list())


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
    if version not in (SCHEMA_VERSION, SHARDED_VERSION):
        known = f"this program reads versions {SCHEMA_VERSION} and {SHARDED_VERSION}"
        raise StoreError(f"schema version {version}; {known}", str(path), REBUILD)
    keys = (*KEYS, "shards") if version == SHARDED_VERSION else KEYS
    missing = [key for key in keys if key not in manifest]
    if not missing and version == SHARDED_VERSION and not _are_counts(manifest["shards"], manifest["count"]):
        raise StoreError("shards is no list of numbers of rows that add up to count", str(path), REMEDY)
    files = () if "shards" in missing else files_of(manifest)
    for key, names in (("model", MODEL_KEYS), ("files", files)):
        section = manifest.get(key)
        known = section if isinstance(section, dict) else {}
        missing += [f"{key}.{name}" for name in names if name not in known]
    if missing:
        raise StoreError(f"key {missing[0]} is missing", str(path), REMEDY)
    return manifest


def is_sharded(manifest: dict[str, Any]) -> bool:
    """Whether a store's vectors and items lie in shards."""
    return manifest["schema_version"] == SHARDED_VERSION


def shard_files(number: int) -> tuple[str, str]:
    """Return the names of a shard's vectors and items: no manifest names a file, so none names one outside."""
    return f"embeddings-{number:05d}.npy", f"items-{number:05d}.arrow"


def files_of(manifest: dict[str, Any]) -> tuple[str, ...]:
    """Return the names of a store's files, the manifest's own left out."""
    if not is_sharded(manifest):
        return FILES
    shards = [name for number in range(len(manifest["shards"])) for name in shard_files(number)]
    return (*shards, *INDEX, WHITENING)


def _are_counts(shards: Any, count: Any) -> bool:
    return (
        isinstance(shards, list)
        and all(type(rows) is int and rows > 0 for rows in shards)
        and bool(shards)
        and sum(shards) == count
    )


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


def read_vectors(path: Path, shape: tuple[Any, Any]) -> NDArray[np.float32]:
    """Map a file of vectors into memory, float32 [n, d].

    Args:
        path: the file.
        shape: what the manifest says that it has.

    Raises:
        StoreError: it is no numpy matrix, or one of another type or shape.
    """
    try:
        vectors = map_npy(path)
    except DataError as error:
        raise StoreError(error.what, error.where, REMEDY) from None
    if vectors.dtype != np.dtype("<f4"):
        raise StoreError(f"numbers are {vectors.dtype}, not float32", str(path), REMEDY)
    check_shape(path, vectors.shape, shape)
    return vectors


def read_items(folder: Path, manifest: dict[str, Any]) -> pl.DataFrame:
    """Read `items.parquet`: row i describes vector i.

    Raises:
        StoreError: it is no table, or one of other columns, rows or ids.
    """
    path = folder / ITEMS
    items = _read_table(path, SCHEMA)
    check_shape(path, (len(items),), (manifest["count"],))
    check_row_numbers(path, items["row"].to_numpy(), 0)
    check_ids(path, items["item_id"], manifest)
    return items


def read_whitening(folder: Path, manifest: dict[str, Any]) -> Whitening:
    """Read `whitening.safetensors`.

    Raises:
        StoreError: it is no whitening map, or one of another shape.
    """
    path = folder / WHITENING
    whitening = Whitening.load(path)
    expected = (manifest["dimension"], manifest["whitened_dimension"])
    check_shape(path, whitening.projection.shape, expected)
    return whitening


def check_row_numbers(path: Path, rows: NDArray[np.int32], first: int) -> None:
    """Check that a file's column `row` counts from its first row on.

    Raises:
        StoreError: names the first row that is wrong.
    """
    ordered = rows == np.arange(first, first + len(rows))
    check_rows(ordered, 0, path, "column row is not the row's number")


def check_ids(path: Path, ids: pl.Series, manifest: dict[str, Any]) -> None:
    """Check that all ids of a store, by row, differ and are those of the manifest.

    Raises:
        StoreError: they do not, or are not.
    """
    check_rows(ids.is_first_distinct().to_numpy(), 0, path, "the item id is there twice")
    if ids_hash(ids) != manifest["ids_sha256"]:
        raise StoreError(f"item ids are not those of {MANIFEST}", str(path), REMEDY)


def check_finite(path: Path, vectors: NDArray[np.float32]) -> None:
    """Check every number of a file of vectors.

    Raises:
        StoreError: names the first row that is wrong.
    """
    for start in range(0, len(vectors), CHUNK):
        finite = np.isfinite(vectors[start : start + CHUNK]).all(axis=1)
        check_rows(finite, start, path, "the vector is not finite")


def check_texts(path: Path, items: pl.DataFrame) -> None:
    """Check every text's hash of a file of items.

    Raises:
        StoreError: names the first row that is wrong.
    """
    hashes = pl.Series([text_hash(text) for text in items["text"]], dtype=pl.String)
    same = hashes == items["text_hash"]
    check_rows(same.to_numpy(), 0, path, "text_hash is not the hash of text")


def check_export(folder: Path, items: pl.DataFrame, vectors: NDArray[np.float32]) -> None:
    """Check that `embeddings.parquet` holds the same ids and vectors.

    Raises:
        StoreError: names what differs, and the first row that does.
    """
    path = folder / EXPORT
    schema = pl.Schema({"item_id": pl.String, "embedding": pl.Array(pl.Float32, vectors.shape[1])})
    export = _read_table(path, schema)
    check_shape(path, (len(export),), (len(items),))
    same = export["item_id"] == items["item_id"]
    check_rows(same.to_numpy(), 0, path, f"item_id is not that of {ITEMS}")
    same = (export["embedding"].to_numpy() == vectors).all(1)
    check_rows(same, 0, path, f"embedding is not that of {VECTORS}")


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


def check_shape(path: Path, shape: tuple[int, ...], expected: tuple[Any, ...]) -> None:
    """Refuse a file of another shape than the manifest says."""
    if shape != expected:
        raise StoreError(f"shape {shape}, but {MANIFEST} says {expected}", str(path), REMEDY)


def check_rows(right: ArrayLike, start: int, path: Path, problem: str) -> None:
    """Refuse a file where a row, counted from `start`, is not right, bool [n]; names the first."""
    wrong = np.flatnonzero(~np.asarray(right, np.bool_))
    if len(wrong):
        raise StoreError(problem, f"{path}, row {start + wrong[0]}", REMEDY)
