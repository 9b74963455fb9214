"""Verification of a store: every problem of every file, where opening it stops at the first."""

from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar

import polars as pl

from ..core.errors import StoreError
from ..store.id_index import IdIndex
from ..store.shards import Shards, as_frame
from ..store.store_files import (
    EXPORT,
    INDEX,
    WHITENING,
    check_export,
    check_finite,
    check_hash,
    check_ids,
    check_texts,
    files_of,
    read_manifest,
)
from ..store.whitening import Whitening

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

    A file whose hash is wrong is read as far as possible, so that the problem names the shape or the row that is
    wrong. One shard at a time is in memory.
    """
    folder, problems = Path(path), Problems()
    manifest = problems.attempt(read_manifest, folder)
    if manifest is None:
        return problems.found
    for name in files_of(manifest):
        problems.attempt(check_hash, folder, manifest, name)
    if (folder / WHITENING).is_file():
        shape = (manifest["dimension"], manifest["whitened_dimension"])
        problems.attempt(Whitening.load, folder / WHITENING, shape)
    ids, vectors = [], None
    shards = Shards(folder, manifest)
    for shard in shards:
        vectors = problems.attempt(shard.map_vectors) if shard.path.is_file() else None
        items = problems.attempt(shard.read_items) if shard.items_path.is_file() else None
        if vectors is not None:
            problems.attempt(check_finite, shard.path, vectors)
        if items is not None:
            problems.attempt(check_texts, shard.items_path, as_frame(items))
            ids.append(pl.Series("item_id", items["item_id"]))
    if len(ids) < len(shards):
        return problems.found
    all_ids, before = pl.concat(ids), len(problems.found)
    problems.attempt(check_ids, folder, manifest, all_ids)
    there = {name for name in files_of(manifest) if (folder / name).is_file()}
    if there.issuperset(INDEX) and (index := problems.attempt(IdIndex.map, folder, manifest)) is not None:
        problems.attempt(index.check, folder, all_ids)
    if EXPORT in there and vectors is not None and len(problems.found) == before:
        problems.attempt(check_export, folder, all_ids, vectors)
    return problems.found
