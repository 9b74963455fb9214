"""What is wrong with a store in shards: every problem of every file."""

from pathlib import Path
from typing import Any

import polars as pl

from ..errors import StoreError
from .id_index import IdIndex
from .problems import Problems
from .shards import Shard, as_frame
from .store_files import (
    INDEX,
    MANIFEST,
    WHITENING,
    check_finite,
    check_hash,
    check_ids,
    check_texts,
    files_of,
    read_whitening,
)


def diagnose_shards(folder: Path, manifest: dict[str, Any]) -> list[StoreError]:
    """Return the problems of a store in shards whose manifest was read; as ``diagnose``, one shard at a time."""
    problems = Problems()
    for name in files_of(manifest):
        problems.attempt(check_hash, folder, manifest, name)
    if (folder / WHITENING).is_file():
        problems.attempt(read_whitening, folder, manifest)
    ids = []
    for number in range(len(manifest["shards"])):
        shard = Shard(folder, manifest, number)
        if shard.path.is_file() and (vectors := problems.attempt(shard.map_vectors)) is not None:
            problems.attempt(check_finite, shard.path, vectors)
        if shard.items_path.is_file() and (items := problems.attempt(shard.map_items)) is not None:
            problems.attempt(check_texts, shard.items_path, as_frame(items))
            ids.append(pl.Series(items["item_id"]))
    if len(ids) == len(manifest["shards"]):
        _diagnose_ids(problems, folder, manifest, pl.concat(ids))
    return problems.found


def _diagnose_ids(problems: Problems, folder: Path, manifest: dict[str, Any], ids: pl.Series) -> None:
    problems.attempt(check_ids, folder / MANIFEST, ids, manifest)
    if all((folder / name).is_file() for name in INDEX):
        index = problems.attempt(IdIndex.map, folder, manifest)
        if index is not None:
            problems.attempt(index.check, folder, ids)
