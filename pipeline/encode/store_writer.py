"""Items and their vectors to an embedding store."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from ..core.files import atomic_directory, sha256_file, write_json
from ..store.id_index import IdIndex, id_hashes
from ..store.shards import ARROW
from ..store.store_files import (
    EXPORT,
    FILES,
    ITEMS,
    MANIFEST,
    SCHEMA_VERSION,
    SHARDED_VERSION,
    VECTORS,
    WHITENING,
    files_of,
    ids_hash,
    item_table,
    shard_files,
)
from ..store.vectors import Vectors
from ..store.whitening import Whitening


def write_store(
    folder: Path,
    items: pl.DataFrame,
    texts: Sequence[str],
    vectors: Vectors,
    whitening: Whitening,
    template: str,
    description: dict[str, Any],
    shard_rows: int | None = None,
) -> None:
    """Write a store as a whole, replacing `folder`; equal content gives equal bytes.

    Args:
        folder: the store.
        items: item_id and title, one row per item.
        texts: the text of each item.
        vectors: float32 [n, d], finite.
        whitening: fitted on `vectors`.
        template: the texts'.
        description: the encoder's, ``ItemEncoder.description``.
        shard_rows: rows of a shard; None: everything in one file.
    """
    with atomic_directory(folder) as temporary:
        if shard_rows is None:
            _write_files(temporary, item_table(items, texts), vectors)
            version, names = {"schema_version": SCHEMA_VERSION}, FILES
        else:
            counts = _write_shards(temporary, items, texts, vectors, shard_rows)
            version = {"schema_version": SHARDED_VERSION, "shards": counts}
            names = files_of(version)
        whitening.save(temporary / WHITENING)
        manifest = {
            **version,
            **description,
            "template": template,
            "count": vectors.shape[0],
            "dimension": vectors.shape[1],
            "whitened_dimension": whitening.projection.shape[1],
            "ids_sha256": ids_hash(items["item_id"]),
            "files": {name: sha256_file(temporary / name) for name in names},
        }
        write_json(temporary / MANIFEST, manifest)


def _write_files(folder: Path, table: pl.DataFrame, vectors: Vectors) -> None:
    """Write vectors and items in one file each, and the Parquet export of both."""
    matrix = np.ascontiguousarray(vectors[:], "<f4")
    embedding = pl.Series("embedding", matrix, pl.Array(pl.Float32, matrix.shape[1]))
    np.save(folder / VECTORS, matrix, allow_pickle=False)
    table.write_parquet(folder / ITEMS, compression="zstd")
    table.select("item_id", embedding).write_parquet(folder / EXPORT, compression="zstd")


def _write_shards(
    folder: Path, items: pl.DataFrame, texts: Sequence[str], vectors: Vectors, shard_rows: int
) -> list[int]:
    """Write items and vectors in shards, and the index of their ids.

    Args:
        folder: where to.
        items: item_id and title, n rows.
        texts: what was encoded.
        vectors: float32 [n, d].
        shard_rows: rows of every shard but the last.

    Returns:
        The rows of each.
    """
    hashes, counts = [], []
    for number, first in enumerate(range(0, len(items), shard_rows)):
        rows = slice(first, first + shard_rows)
        vectors_name, items_name = shard_files(number)
        np.save(folder / vectors_name, np.ascontiguousarray(vectors[rows], "<f4"), allow_pickle=False)
        table = item_table(items[rows], texts[rows], first)
        arrow = table.to_arrow(compat_level=pl.CompatLevel.oldest()).cast(ARROW).combine_chunks()
        with pa.OSFile(str(folder / items_name), "wb") as file, pa.ipc.new_file(file, ARROW) as stream:
            stream.write_table(arrow)
        hashes.append(id_hashes(table["item_id"]))
        counts.append(len(table))
    IdIndex.write(folder, np.concatenate(hashes))
    return counts
