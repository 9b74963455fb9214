"""Vectors and items to the shards of a store."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa

from .id_index import IdIndex, id_hashes
from .rows import Rows
from .shards import ARROW
from .store_files import item_table, shard_files


def write_shards(
    folder: Path, items: pl.DataFrame, texts: Sequence[str], vectors: Rows, shard_rows: int
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
