"""Verification of a store: every problem of every file, where opening it stops at the first."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import polars as pl

from ..core.errors import StoreError
from ..store.id_index import IdIndex
from ..store.shards import Shard, as_frame
from ..store.store_files import (
    EXPORT,
    INDEX,
    ITEMS,
    MANIFEST,
    VECTORS,
    WHITENING,
    check_export,
    check_finite,
    check_hash,
    check_ids,
    check_texts,
    files_of,
    is_sharded,
    read_items,
    read_manifest,
    read_vectors,
    read_whitening,
)

P = ParamSpec("P")
T = TypeVar("T")


class Problems:
    """Checks that go on after one that fails.

    Attributes:
        found: the problems, in order of the checks.
    """

    def __init__(self) -> None:
        self.found: list[StoreError] = []

    def attempt(self, check: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | None:
        """Return the result of a check or reader; None, and one problem more, where it fails."""
        try:
            return check(*args, **kwargs)
        except StoreError as problem:
            self.found.append(problem)
            return None


def verify(path: str | Path) -> None:
    """Check every file, hash, shape and row of a store.

    Raises:
        StoreError: the first problem.
    """
    for problem in diagnose(path):
        raise problem


def diagnose(path: str | Path) -> list[StoreError]:
    """Return the problems of a store, file by file; none: it is whole.

    A file whose hash is wrong is looked into as far as it can be read, so that a problem names, where possible,
    the shape or the row that is wrong. Of a store in shards, one shard at a time is in memory.
    """
    folder, problems = Path(path), Problems()
    manifest = problems.attempt(read_manifest, folder)
    if manifest is None:
        return problems.found
    for name in files_of(manifest):
        problems.attempt(check_hash, folder, manifest, name)
    if (folder / WHITENING).is_file():
        problems.attempt(read_whitening, folder, manifest)
    (_diagnose_shards if is_sharded(manifest) else _diagnose_files)(problems, folder, manifest)
    return problems.found


def _diagnose_files(problems: Problems, folder: Path, manifest: dict[str, Any]) -> None:
    there = {name for name in files_of(manifest) if (folder / name).is_file()}
    shape = (manifest["count"], manifest["dimension"])
    vectors = problems.attempt(read_vectors, folder / VECTORS, shape) if VECTORS in there else None
    items = problems.attempt(read_items, folder, manifest) if ITEMS in there else None
    if vectors is not None:
        problems.attempt(check_finite, folder / VECTORS, vectors)
    if items is not None:
        problems.attempt(check_texts, folder / ITEMS, items)
    if vectors is not None and items is not None and EXPORT in there:
        problems.attempt(check_export, folder, items, vectors)


def _diagnose_shards(problems: Problems, folder: Path, manifest: dict[str, Any]) -> None:
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


def _diagnose_ids(problems: Problems, folder: Path, manifest: dict[str, Any], ids: pl.Series) -> None:
    problems.attempt(check_ids, folder / MANIFEST, ids, manifest)
    if all((folder / name).is_file() for name in INDEX):
        index = problems.attempt(IdIndex.map, folder, manifest)
        if index is not None:
            problems.attempt(index.check, folder, ids)
