"""Verification of a store: all problems of all files. Opening a store raises the first problem."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import polars as pl

from ..core.errors import StoreError
from ..store import store_files as files
from ..store.shards import IdIndex, Shards
from ..store.whitening import Whitening

T = TypeVar("T")


def diagnose(path: str | Path) -> list[StoreError]:
    """Check every file, hash, shape and row of a store; return the problems, file by file.

    A file with a wrong hash is read as far as possible, so that the problem names the shape or the row that is wrong.
    One shard at a time is in memory.
    """
    folder, found = Path(path), list[StoreError]()

    def attempt(check: Callable[..., T], *args: Any) -> T | None:
        """Return the result of a check or reader; if it fails, add its problem to `found` and return None."""
        try:
            return check(*args)
        except StoreError as problem:
            found.append(problem)
            return None

    manifest = attempt(files.read_manifest, folder)
    if manifest is None:
        return found
    for name in files.files_of(manifest):
        attempt(files.check_hash, folder / name, manifest)
    there = {name for name in files.files_of(manifest) if (folder / name).is_file()}
    if files.WHITENING in there:
        attempt(Whitening.of_store, folder, manifest)
    shards, ids, vectors = Shards(folder, manifest), [], None
    for shard in shards:
        vectors = attempt(shard.map_vectors) if shard.path.name in there else None
        items = attempt(shard.read_items) if shard.items_path.name in there else None
        if vectors is not None:
            attempt(files.check_finite, shard.path, vectors)
        if items is not None:
            texts = pl.DataFrame(items).select("text", "text_hash").iter_rows()
            same = [files.text_hash(text) == known for text, known in texts]
            attempt(files.check_rows, same, 0, shard.items_path, "text_hash is not the hash of text")
            ids.append(pl.Series("item_id", items["item_id"]))
    if len(ids) < len(shards):
        return found
    all_ids, before = pl.concat(ids), len(found)
    attempt(files.check_ids, folder, manifest, all_ids)
    if there.issuperset(files.INDEX) and (index := attempt(IdIndex.map, folder, manifest)) is not None:
        attempt(index.check, folder, all_ids)
    if files.EXPORT in there and vectors is not None and len(found) == before:  # a plain store
        attempt(files.check_export, folder, all_ids, vectors)
    return found
