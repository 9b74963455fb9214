"""What is wrong with a store: every problem of every file, where opening it stops at the first."""

from pathlib import Path

from ..errors import StoreError
from .problems import Problems
from .shard_diagnosis import diagnose_shards
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
    is_sharded,
    read_items,
    read_manifest,
    read_vectors,
    read_whitening,
)


def diagnose(path: str | Path) -> list[StoreError]:
    """Return the problems of a store, file by file; none: it is whole.

    A file whose hash is wrong is looked into as far as it can be read, so that a problem names, where possible,
    the shape or the row that is wrong.
    """
    folder, problems = Path(path), Problems()
    attempt = problems.attempt
    manifest = attempt(read_manifest, folder)
    if manifest is None:
        return problems.found
    if is_sharded(manifest):
        return diagnose_shards(folder, manifest)
    for name in FILES:
        attempt(check_hash, folder, manifest, name)
    there = {name for name in FILES if (folder / name).is_file()}
    shape = (manifest["count"], manifest["dimension"])
    vectors = attempt(read_vectors, folder / VECTORS, shape) if VECTORS in there else None
    items = attempt(read_items, folder, manifest) if ITEMS in there else None
    if WHITENING in there:
        attempt(read_whitening, folder, manifest)
    if vectors is not None:
        attempt(check_finite, folder / VECTORS, vectors)
    if items is not None:
        attempt(check_texts, folder / ITEMS, items)
    if vectors is not None and items is not None and EXPORT in there:
        attempt(check_export, folder, items, vectors)
    return problems.found
