"""What is wrong with a store: every problem of every file, where opening it stops at the first."""

from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar

from ..errors import StoreError
from .store_files import (
    EXPORT,
    FILES,
    ITEMS,
    VECTORS,
    WHITENING,
    check_export,
    check_finite,
    check_hash,
    check_texts,
    read_items,
    read_manifest,
    read_vectors,
    read_whitening,
)

P = ParamSpec("P")
T = TypeVar("T")


def diagnose(path: str | Path) -> list[StoreError]:
    """Return the problems of a store, file by file; none: it is whole.

    A file whose hash is wrong is looked into as far as it can be read, so that a problem names, where possible,
    the shape or the row that is wrong.
    """
    folder, problems = Path(path), []

    def attempt(check: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | None:
        try:
            return check(*args, **kwargs)
        except StoreError as problem:
            problems.append(problem)
            return None

    manifest = attempt(read_manifest, folder)
    if manifest is None:
        return problems
    for name in FILES:
        attempt(check_hash, folder, manifest, name)
    there = {name for name in FILES if (folder / name).is_file()}
    vectors = attempt(read_vectors, folder, manifest) if VECTORS in there else None
    items = attempt(read_items, folder, manifest) if ITEMS in there else None
    if WHITENING in there:
        attempt(read_whitening, folder, manifest)
    if vectors is not None:
        attempt(check_finite, folder, vectors)
    if items is not None:
        attempt(check_texts, folder, items)
    if vectors is not None and items is not None and EXPORT in there:
        attempt(check_export, folder, items, vectors)
    return problems
