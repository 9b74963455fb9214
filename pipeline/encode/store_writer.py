"""Writing an embedding store."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from ..core.files import atomic_directory, sha256_file, sha256_json, write_json
from ..store import store_files as files
from ..store.shards import ARROW, IdIndex
from ..store.store_files import EXPORT, ITEMS, MANIFEST, VECTORS, WHITENING
from ..store.vectors import Vectors
from ..store.whitening import Whitening


def write_store(
    folder: Path,
    items: pl.DataFrame,
    texts: Sequence[str],
    vectors: Vectors,
    whitening: Whitening,
    template: str | list[str],
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
        template: the template of the texts, or a template for each of their fields.
        description: ``ItemEncoder.description``.
        shard_rows: rows of every shard but the last; None: a plain store.
    """
    with atomic_directory(folder) as temporary:
        if shard_rows is None:
            _write_plain(temporary, files.item_table(items, texts), vectors)
            layout = {"schema_version": files.SCHEMA_VERSION}
        else:
            counts = _write_shards(temporary, items, texts, vectors, shard_rows)
            layout = {"schema_version": files.SHARDED_VERSION, "shards": counts}
        whitening.save(temporary / WHITENING)
        manifest = {
            **layout,
            **description,
            "template": template,
            "count": vectors.shape[0],
            "dimension": vectors.shape[1],
            "whitened_dimension": whitening.projection.shape[1],
            "ids_sha256": sha256_json(items["item_id"].to_list()),
            "files": {name: sha256_file(temporary / name) for name in files.files_of(layout)},
        }
        write_json(temporary / MANIFEST, manifest)


def _write_plain(folder: Path, items: pl.DataFrame, vectors: Vectors) -> None:
    matrix = _save(folder / VECTORS, vectors[:])
    embedding = pl.Series("embedding", matrix, pl.Array(pl.Float32, matrix.shape[1]))
    items.write_parquet(folder / ITEMS, compression="zstd")
    items.select("item_id", embedding).write_parquet(folder / EXPORT, compression="zstd")


def _write_shards(
    folder: Path, items: pl.DataFrame, texts: Sequence[str], vectors: Vectors, shard_rows: int
) -> list[int]:
    """Write the shards and the index of their ids; return the rows of each shard."""
    counts = []
    for number, first in enumerate(range(0, len(items), shard_rows)):
        rows, (vectors_name, items_name) = slice(first, first + shard_rows), files.shard_files(number)
        _save(folder / vectors_name, vectors[rows])
        table = files.item_table(items[rows], texts[rows], first)
        arrow = table.to_arrow(compat_level=pl.CompatLevel.oldest()).cast(ARROW).combine_chunks()
        with pa.OSFile(str(folder / items_name), "wb") as file, pa.ipc.new_file(file, ARROW) as stream:
            stream.write_table(arrow)
        counts.append(len(table))
    IdIndex.of(items["item_id"]).write(folder)
    return counts


def _save(path: Path, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    matrix = np.ascontiguousarray(vectors, "<f4")
    np.save(path, matrix, allow_pickle=False)
    return matrix
