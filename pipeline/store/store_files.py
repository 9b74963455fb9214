"""The files of an embedding store: names, manifest and checks. A check that fails raises ``StoreError``."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import ArrayLike, NDArray

from ..core.errors import DataError, StoreError
from ..core.files import check_file, read_json, sha256_json
from .vectors import CHUNK

SCHEMA_VERSION = 1  # a plain store: one file of vectors and one of items
SHARDED_VERSION = 2  # a store whose vectors and items lie in shards

VECTORS = "embeddings.npy"
ITEMS = "items.parquet"
EXPORT = "embeddings.parquet"
WHITENING = "whitening.safetensors"
MANIFEST = "manifest.json"
FILES = (VECTORS, ITEMS, EXPORT, WHITENING)  # files of a plain store, without the manifest
INDEX = ("id_hashes.npy", "id_rows.npy")  # index from ids to rows, in a store in shards
KEYS = (  # of every manifest, beside `schema_version`
    *("model", "pooling", "max_length", "dtype", "template", "count", "dimension", "whitened_dimension"),
    *("ids_sha256", "files"),
)
MODEL_KEYS = ("id", "revision", "config_sha256", "tokenizer_sha256", "weights_sha256")

REMEDY = "make it again (`dvc repro`, `hierrec embeddings encode`), or fetch it (`dvc pull`, `dvc update`)"
REBUILD = "make it again (`dvc repro` where it comes from), or use the release of hierrec that wrote it"

# Columns of the items.
SCHEMA = pl.Schema({"row": pl.Int32} | dict.fromkeys(("item_id", "title", "text", "text_hash"), pl.String))


def text_hash(text: str) -> str:
    """Return the hex SHA-256 of a text in UTF-8."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read `manifest.json`; raise ``StoreError`` if it is missing, damaged, or of an unknown schema version."""
    path = folder / MANIFEST
    with as_store_errors():
        manifest = read_json(path)
    version = manifest.get("schema_version") if isinstance(manifest, dict) else None
    if version not in (SCHEMA_VERSION, SHARDED_VERSION):
        known = f"this program reads versions {SCHEMA_VERSION} and {SHARDED_VERSION}"
        raise StoreError(f"schema version {version!r}; {known}", str(path), REBUILD)
    keys = (*KEYS, "shards") if is_sharded(manifest) else KEYS
    missing = [key for key in keys if key not in manifest]
    if not missing:
        if is_sharded(manifest):
            shards = manifest["shards"]
            counts = isinstance(shards, list) and shards and all(type(rows) is int and rows > 0 for rows in shards)
            if not (counts and sum(shards) == manifest["count"]):
                raise StoreError("shards is not a list of row counts whose sum is count", str(path), REMEDY)
        for section, wanted in (("model", MODEL_KEYS), ("files", files_of(manifest))):
            known = manifest[section] if isinstance(manifest[section], dict) else {}
            missing += [f"{section}.{name}" for name in wanted if name not in known]
    if missing:
        raise StoreError(f"key {missing[0]} is missing", str(path), REMEDY)
    return manifest


def is_sharded(manifest: dict[str, Any]) -> bool:
    """Whether the store lies in shards and is read lazily."""
    return manifest["schema_version"] == SHARDED_VERSION


def shard_names(manifest: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the names of each shard's vectors and items; a plain store is one shard.

    They are not read from the manifest, so no file can lie outside.
    """
    if not is_sharded(manifest):
        return [(VECTORS, ITEMS)]
    return [(f"embeddings-{i:05d}.npy", f"items-{i:05d}.arrow") for i in range(len(manifest["shards"]))]


def files_of(manifest: dict[str, Any]) -> tuple[str, ...]:
    """Return the names of a store's files, without the manifest."""
    return (*chain(*shard_names(manifest)), *INDEX, WHITENING) if is_sharded(manifest) else FILES


@contextmanager
def as_store_errors() -> Iterator[None]:
    """Turn a ``DataError`` within the block into a ``StoreError``."""
    try:
        yield
    except DataError as error:
        raise StoreError(error.what, error.where, REMEDY) from None


def check_present(path: Path) -> None:
    """Refuse a file that is missing."""
    if not path.is_file():
        raise StoreError("file is missing", str(path), REMEDY)


def check_hash(path: Path, manifest: dict[str, Any]) -> None:
    """Refuse a file that is missing or whose SHA-256 is not that of the manifest."""
    with as_store_errors():
        check_file(path, manifest["files"][path.name], MANIFEST)


def check_shape(path: Path, shape: tuple[int, ...], expected: tuple[Any, ...]) -> None:
    """Refuse a file whose shape is not that of the manifest."""
    if shape != expected:
        raise StoreError(f"shape {shape}, but {MANIFEST} says {expected}", str(path), REMEDY)


def check_rows(right: ArrayLike, start: int, path: Path, problem: str) -> None:
    """Refuse a file with a wrong row. `right`, bool [n], describes the rows from `start` on."""
    wrong = np.flatnonzero(~np.asarray(right, np.bool_))
    if len(wrong):
        raise StoreError(problem, f"{path}, row {start + wrong[0]}", REMEDY)


def check_ids(folder: Path, manifest: dict[str, Any], ids: pl.Series) -> None:
    """Refuse a store whose ids, by row, are not distinct or not those of the manifest."""
    path = folder / (MANIFEST if is_sharded(manifest) else ITEMS)
    check_rows(ids.is_first_distinct().to_numpy(), 0, path, "the item id is there twice")
    if sha256_json(ids.to_list()) != manifest["ids_sha256"]:
        raise StoreError(f"item ids are not those of {MANIFEST}", str(path), REMEDY)


def check_finite(path: Path, vectors: NDArray[np.float32]) -> None:
    """Refuse a file of vectors with a number that is not finite."""
    for start in range(0, len(vectors), CHUNK):
        finite = np.isfinite(vectors[start : start + CHUNK]).all(axis=1)
        check_rows(finite, start, path, "the vector is not finite")


def check_export(folder: Path, ids: pl.Series, vectors: NDArray[np.float32]) -> None:
    """Refuse an `embeddings.parquet` that does not hold these ids and vectors."""
    path = folder / EXPORT
    embedding = pl.Array(pl.Float32, vectors.shape[1])
    export = pl.DataFrame(read_table(path, pl.Schema({"item_id": pl.String, "embedding": embedding})))
    check_shape(path, (len(export),), (len(ids),))
    check_rows((export["item_id"] == ids).to_numpy(), 0, path, f"item_id is not that of {ITEMS}")
    same = (export["embedding"].to_numpy() == vectors).all(1)
    check_rows(same, 0, path, f"embedding is not that of {VECTORS}")


def read_table(path: Path, schema: pl.Schema) -> pa.Table:
    """Read a Parquet table, or map an Arrow file; raises ``StoreError`` if it is damaged or has other columns."""
    try:
        # By pyarrow, because polars panics on some damaged files.
        is_arrow = path.suffix == ".arrow"
        table = pa.ipc.open_file(pa.memory_map(str(path))).read_all() if is_arrow else pq.read_table(path)
        table.validate(full=True)
        columns = pl.DataFrame({name: pl.Series(table[name][:0]) for name in table.column_names}).schema
    except (pa.ArrowException, OSError, ValueError, KeyError, pl.exceptions.PolarsError) as error:
        raise StoreError(f"not a table: {error}", str(path), REMEDY) from None
    if columns != schema:
        raise StoreError(f"columns are {dict(columns)}, not {dict(schema)}", str(path), REMEDY)
    return table
