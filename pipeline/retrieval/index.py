"""FAISS over item vectors: cosine neighbours in a total order, tied to the store they were built from."""

import hashlib
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from ..errors import DataError, IndexMismatchError, NumericalError, ParamsError
from ..files import atomic_directory, read_json, write_json
from .cosine import unit_vectors

SCHEMA_VERSION = 1

INDEX = "index.faiss"
MANIFEST = "manifest.json"

REMEDY = "run `dvc repro index`"

TOLERANCE = 1e-4
"""Above the rounding error of a float32 dot product of unit vectors, whatever the order of its sums."""

GATHER = 2**24
"""Numbers gathered at a time to compute similarities again."""


class ItemIndex:
    """Cosine similarity search over item vectors; row i of the index is row i of the vectors.

    Search in an exact index is exact in full: similarities are computed again, one by one, for what FAISS finds,
    so that neither a query's batch nor the threads move a result, and equal vectors tie and go by row.

    Attributes:
        index: the FAISS index, over vectors of unit norm.
        factory: the string that it was made from.
    """

    def __init__(self, index: faiss.Index, factory: str) -> None:
        self.index, self.factory = index, factory

    @classmethod
    def build(cls, vectors: NDArray[np.float32], factory: str = "Flat") -> "ItemIndex":
        """Index vectors float32 [n, d]; a vector of zeros has similarity 0 to everything.

        Args:
            vectors: finite.
            factory: FAISS index factory string: `Flat` is exact; `IVF256,Flat`, `HNSW32` and others are not, and
                say so in the manifest.

        Raises:
            NumericalError: a vector is not finite.
            ParamsError: FAISS does not know the factory string, or cannot train it on so few vectors.
        """
        finite = np.isfinite(vectors).all(axis=1)
        if not finite.all():
            raise NumericalError("the vector is not finite", f"row {int(np.argmin(finite))}", "encode again")
        unit = unit_vectors(vectors)
        threads = faiss.omp_get_max_threads()
        try:
            index = faiss.index_factory(unit.shape[1], factory, faiss.METRIC_INNER_PRODUCT)
            if "HNSW" in factory:  # a graph built by several threads differs from run to run
                faiss.omp_set_num_threads(1)
            index.train(unit)
            index.add(unit)
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[0]
            raise ParamsError(
                f"FAISS cannot index {len(unit)} vectors of width {unit.shape[1]} with {factory!r}: {reason}",
                "index.factory",
                "use Flat, or another string of the FAISS index factory",
            ) from None
        finally:
            faiss.omp_set_num_threads(threads)
        return cls(index, factory)

    @property
    def exact(self) -> bool:
        """Whether search finds the true neighbours."""
        return isinstance(self.index, faiss.IndexFlat)

    def __len__(self) -> int:
        return self.index.ntotal

    def search(self, queries: NDArray[np.float32], k: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return the most similar rows, best first, equal similarities by row.

        Args:
            queries: float32 [b, d], finite, of any norm.
            k: neighbours wanted, at least 1.

        Returns:
            Cosine similarities float32 and rows int64, [b, min(k, n)] each. An index that is not exact may find
            fewer: then row -1 with similarity minus infinity stands at the end.

        Raises:
            IndexMismatchError: queries have another width than the index.
            NumericalError: a query is not finite.
        """
        if queries.ndim != 2 or queries.shape[1] != self.index.d:
            raise IndexMismatchError(
                f"queries of shape {queries.shape} do not fit vectors of width {self.index.d}", remedy=REMEDY
            )
        if not np.isfinite(queries).all():
            raise NumericalError("a query is not finite", "index")
        unit, k = unit_vectors(queries), min(k, len(self))
        if self.exact:
            return self._search_exactly(unit, k)
        similarities, rows = self.index.search(unit, k)
        similarities[rows < 0] = -np.inf
        return _in_order(similarities, rows)

    def _search_exactly(
        self, unit: NDArray[np.float32], k: int
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Search more than k and compute again, until nothing outside can be as near as the k-th."""
        similarities = np.empty((len(unit), k), np.float32)
        rows = np.empty((len(unit), k), np.int64)
        pending, width = np.arange(len(unit)), min(k + 16, len(self))
        while len(pending):
            rounded, found = self.index.search(unit[pending], width)  # [p, width] each
            precise, found = _in_order(self._similarities(unit[pending], found), found)
            similarities[pending], rows[pending] = precise[:, :k], found[:, :k]
            done = precise[:, k - 1] > rounded[:, -1] + TOLERANCE
            pending = pending[~done] if width < len(self) else pending[:0]
            width = min(2 * width, len(self))
        return similarities, rows

    def _similarities(self, unit: NDArray[np.float32], rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the dot products [b, w] of queries [b, d] with rows [b, w], each by the same sum."""
        flat: Any = self.index  # a view of its memory, not a copy
        vectors = faiss.rev_swig_ptr(flat.get_xb(), flat.ntotal * flat.d).reshape(flat.ntotal, flat.d)
        similarities = np.empty(rows.shape, np.float32)
        step = max(1, GATHER // (rows.shape[1] * self.index.d))
        for start in range(0, len(unit), step):
            part = slice(start, start + step)
            np.einsum("bd,bwd->bw", unit[part], vectors[rows[part]], out=similarities[part])
        return similarities

    def write(self, folder: Path, store_hash: str) -> None:
        """Write the index and a manifest that ties it to the store with that hash, replacing `folder`."""
        content = faiss.serialize_index(self.index).tobytes()
        with atomic_directory(folder) as temporary:
            (temporary / INDEX).write_bytes(content)
            manifest = {
                "schema_version": SCHEMA_VERSION,
                "factory": self.factory,
                "exact": self.exact,
                "metric": "cosine",
                "count": len(self),
                "dimension": self.index.d,
                "store_hash": store_hash,
                "index_sha256": hashlib.sha256(content).hexdigest(),
            }
            write_json(temporary / MANIFEST, manifest)

    @classmethod
    def open(cls, folder: Path, store_hash: str) -> "ItemIndex":
        """Read an index, if it was built from the store with that hash.

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
        path = folder / INDEX
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            raise IndexMismatchError("file is missing", str(path), REMEDY) from None
        except OSError as error:
            raise IndexMismatchError(f"cannot be read ({error.strerror})", str(path), REMEDY) from None
        if hashlib.sha256(content).hexdigest() != manifest["index_sha256"]:
            raise IndexMismatchError(f"content has another hash than {MANIFEST} says", str(path), REMEDY)
        faiss.set_deserialization_vector_byte_limit(len(content))  # a forged length takes no memory
        try:
            index = faiss.deserialize_index(np.frombuffer(content, np.uint8))
        except (RuntimeError, MemoryError) as error:
            raise IndexMismatchError(
                f"not an index that this FAISS reads: {error}", str(path), REMEDY
            ) from None
        if (index.ntotal, index.d) != (manifest["count"], manifest["dimension"]):
            raise IndexMismatchError(
                f"{index.ntotal} vectors of width {index.d}, but {MANIFEST} says"
                f" {manifest['count']} of width {manifest['dimension']}",
                str(path),
                REMEDY,
            )
        return cls(index, manifest["factory"])


def _in_order(
    similarities: NDArray[np.float32], rows: NDArray[np.int64]
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Sort each line by similarity, falling, then by row, rising."""
    order = np.lexsort((rows, -similarities), axis=-1)
    return np.take_along_axis(similarities, order, 1), np.take_along_axis(rows, order, 1)


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
    missing = {"factory", "count", "dimension", "store_hash", "index_sha256"} - manifest.keys()
    if missing:
        raise IndexMismatchError(f"key {min(missing)} is missing", str(path), REMEDY)
    return manifest
