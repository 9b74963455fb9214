"""An index on disk: FAISS's files, memory-mapped, and a manifest with the hash of the store."""

from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

import faiss
import numpy as np
from numpy.typing import NDArray

from ..core.errors import DataError, IndexMismatchError
from ..core.files import check_file, map_npy, read_json, sha256_file, write_json

SCHEMA_VERSION = 2
INDEX = "index.faiss"
LISTS = "lists.ivfdata"
VECTORS = "vectors.npy"
MANIFEST = "manifest.json"
FILES = {"flat": [INDEX], "ivf": [INDEX], "hnsw": [INDEX], "ivf_pq": [INDEX, LISTS, VECTORS]}
"""Files of each kind. An `ivf_pq` index has its inverted lists and vectors in files of their own."""

REMEDY = "run `dvc repro`"
MAPPED_FROM = 4096
"""Bytes from which a file is mapped. Shorter files are read: FAISS would map beyond the end of a truncated file."""


Kind = Literal["flat", "ivf", "hnsw", "ivf_pq"]


@dataclass(frozen=True)
class Setting:
    """Kind, settings and measured recall of an index; by default of an exact one."""

    kind: Kind = "flat"
    factory: str = "Flat"  # FAISS's factory string
    effort: int = 0  # inverted lists, or nodes of the graph, that a search visits: trades time for recall
    recall_at_20: float = 1.0  # share of the true 20 nearest items that it finds, measured when it was built
    queries: int = 0  # number of items on which the recall was measured


def write_index(folder: Path, index: faiss.Index, setting: Setting, store_hash: str) -> None:
    """Write index and manifest. The other files of an `ivf_pq` index are in the folder already."""
    try:
        faiss.write_index(index, str(folder / INDEX))
    except RuntimeError as error:  # the message ends with the system's reason in parentheses
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
    """Map an index that `write_index` wrote; return it, its setting, and the vectors [n, d] of an `ivf_pq` index.

    Raises ``IndexMismatchError`` if it was built from another store, is damaged, or has another version.
    """
    try:
        manifest = read_json(folder / MANIFEST)
        setting = _check_manifest(folder, manifest, store_hash)
        for name in FILES[setting.kind]:
            check_file(folder / name, manifest["files"].get(name), MANIFEST)
        vectors = map_npy(folder / VECTORS) if setting.kind == "ivf_pq" else None
    except DataError as error:
        raise IndexMismatchError(error.what, error.where, REMEDY) from None
    index, count, width = _read_faiss(folder, setting.kind), manifest["count"], manifest["dimension"]
    if (index.ntotal, index.d) != (count, width):
        what = f"{index.ntotal} vectors of width {index.d}, but {MANIFEST} says {count} of width {width}"
        raise IndexMismatchError(what, str(folder / INDEX), REMEDY)
    return index, setting, vectors


def _check_manifest(folder: Path, manifest: Any, store_hash: str) -> Setting:
    names = [field.name for field in fields(Setting)]
    version = manifest.get("schema_version") if isinstance(manifest, dict) else None
    if version != SCHEMA_VERSION:
        what = f"schema version {version}; this program reads version {SCHEMA_VERSION}"
    elif missing := {"count", "dimension", "store_hash", "files", *names} - manifest.keys():
        what = f"key {min(missing)} is missing"
    elif manifest["kind"] not in tuple(FILES) or not isinstance(manifest["files"], dict):
        what = f"kind {manifest['kind']!r} is not known"
    elif manifest["store_hash"] != store_hash:
        built = f"store {manifest['store_hash']}, not {store_hash}"
        raise DataError(f"built from other embeddings ({built})", str(folder))
    else:
        return Setting(**{name: manifest[name] for name in names})
    raise DataError(what, str(folder / MANIFEST))


def _read_faiss(folder: Path, kind: Kind) -> faiss.Index:
    path = folder / INDEX
    size, limit = path.stat().st_size, faiss.get_deserialization_vector_byte_limit()
    try:
        faiss.set_deserialization_vector_byte_limit(size)  # a forged length allocates no memory
        match kind:
            case "flat" | "hnsw":
                return faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC if size >= MAPPED_FROM else 0)
            case "ivf":
                return faiss.read_index(str(path), faiss.IO_FLAG_MMAP | faiss.IO_FLAG_READ_ONLY)
            case "ivf_pq":  # without IO_FLAG_ONDISK_SAME_DIR, which prints
                flags = faiss.IO_FLAG_SKIP_IVF_DATA | faiss.IO_FLAG_SKIP_PRECOMPUTE_TABLE
                index: Any = faiss.read_index(str(path), flags)
                lists: Any = faiss.downcast_InvertedLists(index.invlists)
                lists.filename, lists.read_only = str(folder / LISTS), True
                _check_lists(lists, (folder / LISTS).stat().st_size)
                lists.do_mmap()
                return index
    except (RuntimeError, MemoryError, ValueError) as error:
        what = f"not an index that this FAISS reads: {error}"
        raise IndexMismatchError(what, str(path), REMEDY) from None
    finally:
        faiss.set_deserialization_vector_byte_limit(limit)


def _check_lists(lists: Any, available: int) -> None:
    """Refuse inverted lists that lie outside their file; FAISS maps them without this check."""
    entry = lists.code_size + np.dtype(np.int64).itemsize  # a compressed vector and its row
    places = [lists.lists.at(number) for number in range(lists.lists.size())]
    ends = [place.offset + place.capacity * entry for place in places if place.capacity]
    if not max(ends, default=0) <= lists.totsize <= available:
        raise ValueError(f"the inverted lists end after the {available:,} bytes of their file")
    if any(place.size > place.capacity for place in places):
        raise ValueError("an inverted list holds more than fits into it")
