"""An index on disk: FAISS's files, memory-mapped when they are read, and a manifest that ties them to a store."""

from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from ..core.errors import DataError, IndexMismatchError
from ..core.files import map_npy, read_json, sha256_file, write_json
from .index_kinds import Kind, Setting

SCHEMA_VERSION = 2

INDEX = "index.faiss"
LISTS = "lists.ivfdata"
VECTORS = "vectors.npy"
MANIFEST = "manifest.json"
FILES = {"flat": [INDEX], "ivf": [INDEX], "hnsw": [INDEX], "ivf_pq": [INDEX, LISTS, VECTORS]}
"""Files of each kind; beside the index itself, the inverted lists and the vectors that an `ivf_pq` index reads."""

REMEDY = "run `dvc repro index`"

MAPPED_FROM = 4096
"""Bytes from which on a file is mapped, not read: of a short one that ends too soon, FAISS's mapping reads on."""


def write_index(folder: Path, index: faiss.Index, setting: Setting, store_hash: str) -> None:
    """Write index and manifest into a folder in which the other files of an `ivf_pq` index lie already."""
    try:
        faiss.write_index(index, str(folder / INDEX))
    except RuntimeError as error:  # which ends with the system's reason, in parentheses
        raise OSError(str(error).strip().rpartition("(")[2].removesuffix(")")) from None
    manifest = {
        "schema_version": SCHEMA_VERSION,
        **asdict(setting),
        "exact": setting.kind == "flat",
        "metric": "cosine",
        "count": index.ntotal,
        "dimension": index.d,
        "store_hash": store_hash,
        "files": {name: sha256_file(folder / name) for name in FILES[setting.kind]},
    }
    write_json(folder / MANIFEST, manifest)


def read_index(folder: Path, store_hash: str) -> tuple[faiss.Index, Setting, NDArray[np.float32] | None]:
    """Read what `write_index` wrote.

    Returns:
        The index, what it is, and of an `ivf_pq` index the vectors, float32 [n, d]; all memory-mapped.

    Raises:
        IndexMismatchError: it was built from another store, is damaged, or of another version.
    """
    manifest = _read_manifest(folder / MANIFEST)
    if manifest["store_hash"] != store_hash:
        raise IndexMismatchError(
            "built from other embeddings than those at hand"
            f" (store {manifest['store_hash']}, not {store_hash})",
            str(folder),
            REMEDY,
        )
    setting = Setting(**{field.name: manifest[field.name] for field in fields(Setting)})
    for name in FILES[setting.kind]:
        _check_file(folder / name, manifest["files"].get(name))
    limit = faiss.get_deserialization_vector_byte_limit()
    try:
        # A forged length takes no memory.
        faiss.set_deserialization_vector_byte_limit((folder / INDEX).stat().st_size)
        index = _open(folder, setting.kind)
        vectors = map_npy(folder / VECTORS) if setting.kind == "ivf_pq" else None
    except (DataError, RuntimeError, MemoryError, ValueError) as error:
        raise IndexMismatchError(
            f"not an index that this FAISS reads: {error}", str(folder / INDEX), REMEDY
        ) from None
    finally:
        faiss.set_deserialization_vector_byte_limit(limit)
    if (index.ntotal, index.d) != (manifest["count"], manifest["dimension"]):
        raise IndexMismatchError(
            f"{index.ntotal} vectors of width {index.d}, but {MANIFEST} says"
            f" {manifest['count']} of width {manifest['dimension']}",
            str(folder / INDEX),
            REMEDY,
        )
    return index, setting, vectors


def _open(folder: Path, kind: Kind) -> faiss.Index:
    path = str(folder / INDEX)
    match kind:
        case "flat" | "hnsw":
            mapped = (folder / INDEX).stat().st_size >= MAPPED_FROM
            return faiss.read_index(path, faiss.IO_FLAG_MMAP_IFC if mapped else 0)
        case "ivf":
            return faiss.read_index(path, faiss.IO_FLAG_MMAP | faiss.IO_FLAG_READ_ONLY)
        case "ivf_pq":
            # Not IO_FLAG_ONDISK_SAME_DIR: it prints.
            index: Any = faiss.read_index(
                path, faiss.IO_FLAG_SKIP_IVF_DATA | faiss.IO_FLAG_SKIP_PRECOMPUTE_TABLE
            )
            lists: Any = faiss.downcast_InvertedLists(index.invlists)
            lists.filename, lists.read_only = str(folder / LISTS), True
            _check_lists(lists, (folder / LISTS).stat().st_size)
            lists.do_mmap()
            return index


def _check_lists(lists: Any, available: int) -> None:
    """Refuse inverted lists that would lie outside their file, which FAISS maps without a look."""
    entry = lists.code_size + np.dtype(np.int64).itemsize  # a compressed vector and its row
    places = [lists.lists.at(number) for number in range(lists.lists.size())]
    ends = [place.offset + place.capacity * entry for place in places if place.capacity]
    if not max(ends, default=0) <= lists.totsize <= available:
        raise ValueError(f"the inverted lists end after the {available:,} bytes of their file")
    if any(place.size > place.capacity for place in places):
        raise ValueError("an inverted list holds more than fits into it")


def _check_file(path: Path, expected: Any) -> None:
    try:
        actual = sha256_file(path)
    except FileNotFoundError:
        raise IndexMismatchError("file is missing", str(path), REMEDY) from None
    except OSError as error:
        raise IndexMismatchError(f"cannot be read ({error.strerror})", str(path), REMEDY) from None
    if actual != expected:
        raise IndexMismatchError(f"content has another hash than {MANIFEST} says", str(path), REMEDY)


def _read_manifest(path: Path) -> dict[str, Any]:
    try:
        manifest = read_json(path)
    except DataError as error:
        raise IndexMismatchError(error.what, error.where, REMEDY) from None
    version = manifest.get("schema_version") if isinstance(manifest, dict) else None
    if version != SCHEMA_VERSION:
        raise IndexMismatchError(
            f"schema version {version}; this program reads version {SCHEMA_VERSION}", str(path), REMEDY
        )
    wanted = {"count", "dimension", "store_hash", "files", *(field.name for field in fields(Setting))}
    if missing := wanted - manifest.keys():
        raise IndexMismatchError(f"key {min(missing)} is missing", str(path), REMEDY)
    if manifest["kind"] not in tuple(FILES) or not isinstance(manifest["files"], dict):
        raise IndexMismatchError(f"kind {manifest['kind']!r} is not known", str(path), REMEDY)
    return manifest
