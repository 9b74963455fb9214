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
        items: item_id and maybe title, one row per item; the id stands for a missing title.
        vectors: float32 [n, d], finite; `whitening` was fitted on them.
        template: the template of the texts, or a template for each of their fields.
        description: ``ItemEncoder.description``.
        shard_rows: rows of every shard but the last; None: a plain store.
    """
    count, width = vectors.shape
    starts = range(0, count, shard_rows) if shard_rows else [0]
    layout: dict[str, Any] = {"schema_version": files.SCHEMA_VERSION}
    if shard_rows:
        counts = [min(shard_rows, count - first) for first in starts]
        layout = {"schema_version": files.SHARDED_VERSION, "shards": counts}
    with atomic_directory(folder) as temporary:
        for (matrix, table), first in zip(files.shard_names(layout), starts, strict=True):
            rows = slice(first, first + (shard_rows or count))
            shard = items[rows].select(
                pl.int_range(first, first + pl.len(), dtype=pl.Int32).alias("row"),
                "item_id",
                pl.coalesce(pl.col("^title$"), "item_id").alias("title"),
                pl.Series("text", texts[rows], pl.String),
                pl.Series("text_hash", map(files.text_hash, texts[rows]), pl.String),
            )
            _write_shard(temporary / matrix, temporary / table, vectors[rows], shard)
        if shard_rows:
            IdIndex.of(items["item_id"]).write(temporary)
        whitening.save(temporary / files.WHITENING)
        manifest = {
            **layout,
            **description,
            "template": template,
            "count": count,
            "dimension": width,
            "whitened_dimension": whitening.projection.shape[1],
            "ids_sha256": sha256_json(items["item_id"].to_list()),
            "files": {name: sha256_file(temporary / name) for name in files.files_of(layout)},
        }
        write_json(temporary / files.MANIFEST, manifest)


def _write_shard(path: Path, items_path: Path, vectors: NDArray[np.float32], items: pl.DataFrame) -> None:
    """Write the vectors [m, d] and the items of a shard; a plain store's are exported to Parquet too."""
    matrix = np.ascontiguousarray(vectors, "<f4")
    np.save(path, matrix, allow_pickle=False)
    if items_path.suffix == ".arrow":
        arrow = items.to_arrow(compat_level=pl.CompatLevel.oldest()).cast(ARROW).combine_chunks()
        with pa.OSFile(str(items_path), "wb") as file, pa.ipc.new_file(file, ARROW) as stream:
            stream.write_table(arrow)
        return
    items.write_parquet(items_path, compression="zstd")
    embedding = pl.Series("embedding", matrix, pl.Array(pl.Float32, matrix.shape[1]))
    items.select("item_id", embedding).write_parquet(path.with_name(files.EXPORT), compression="zstd")
