"""FAISS over item vectors: cosine neighbours in a total order, tied to the store they were built from."""

import warnings
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from ..core.errors import IndexMismatchError, NumericalError
from ..core.files import atomic_directory
from ..store.vectors import Vectors
from .cosine import unit_vectors
from .fast_faiss import matrix_products
from .index_files import REMEDY, read_index, write_index
from .index_kinds import Setting
from .vectors import unit_batches

TOLERANCE = 1e-4
"""Above the rounding error of a float32 dot product of unit vectors, whatever the order of its sums."""

GATHER = 2**24
"""Numbers gathered at a time to compute similarities again."""

FOUND = 2**22
"""Neighbours found at a time by the exact search: queries of a block, times neighbours of each."""

RANKED_AGAIN = 8
"""Rows that an `ivf_pq` index looks for, per row wanted: compressed, they are in a rough order."""


class ApproximateSearchWarning(UserWarning):
    """An index is in use that may miss some of the true neighbours."""


class ItemIndex:
    """Cosine similarity search over item vectors; row i of the index is row i of the vectors.

    Search in a `flat` index is exact in full: similarities are computed again, one by one, for what FAISS finds,
    so that neither a query's batch nor the threads move a result, and equal vectors tie and go by row. Other kinds
    are approximate, which `exact`, the manifest and a warning at opening say; their similarities are true ones.

    Args:
        index: the FAISS index, over vectors of unit norm.
        setting: what it is.
        vectors: float32 [n, d], the vectors, by which what an `ivf_pq` index finds is ranked again; the others hold
            theirs themselves.
    """

    def __init__(
        self,
        index: faiss.Index,
        setting: Setting | None = None,
        vectors: NDArray[np.float32] | None = None,
    ) -> None:
        self.index, self.setting, self._vectors = index, setting or Setting(), vectors
        self._thinned: tuple[int, faiss.Index, NDArray[np.int64]] | None = None

    @classmethod
    def build(cls, vectors: Vectors) -> "ItemIndex":
        """Index vectors float32 [n, d] exactly; a vector of zeros has similarity 0 to everything.

        `build_index` makes the other kinds.

        Raises:
            NumericalError: a vector is not finite.
        """
        index = faiss.IndexFlatIP(vectors.shape[1])
        for batch in unit_batches(vectors):
            index.add(batch)  # pyright: ignore[reportCallIssue]
        return cls(index)

    @property
    def exact(self) -> bool:
        """Whether search finds the true neighbours."""
        return self.setting.kind == "flat"

    def __str__(self) -> str:
        """Say what it is in words for people."""
        name = f"FAISS {self.setting.factory}"
        return (
            f"{name}, exact"
            if self.exact
            else f"{name}, approximate: recall@20 {self.setting.recall_at_20:.3f}"
        )

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
            IndexMismatchError: queries have another width than the index, or it is damaged.
            NumericalError: a query is not finite.
        """
        if queries.ndim != 2 or queries.shape[1] != self.index.d:
            raise IndexMismatchError(
                f"queries of shape {queries.shape} do not fit vectors of width {self.index.d}", remedy=REMEDY
            )
        if not np.isfinite(queries).all():
            raise NumericalError("a query is not finite", "index")
        unit, k = unit_vectors(queries), min(k, len(self))
        with matrix_products(self.index.d):
            if not self.exact:
                return self._search_approximately(unit, k)
            _, first, same = np.unique(_digests(unit), return_index=True, return_inverse=True)  # [q], [b]
            similarities, rows = self._search_exactly(unit[first], k)  # equal queries are searched once
            return similarities[same], rows[same]

    def _search_approximately(
        self, unit: NDArray[np.float32], k: int
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        if self._vectors is None:
            similarities, rows = self.index.search(unit, k)  # [b, k] each
            self._check_rows(rows)
        else:
            _, rows = self.index.search(unit, min(RANKED_AGAIN * k, len(self)))  # [b, w]
            self._check_rows(rows)
            similarities = self._similarities(unit, self._vectors, rows)
        similarities[rows < 0] = -np.inf
        similarities, rows = _in_order(similarities, rows)
        return similarities[:, :k], rows[:, :k]

    def _check_rows(self, rows: NDArray[np.int64]) -> None:
        """Refuse what inverted lists name that is no row: their ids are in a file, and read when they are needed."""
        if not ((rows >= -1) & (rows < len(self))).all():
            raise IndexMismatchError("names vectors that it does not hold", "index", REMEDY)

    def _search_exactly(
        self, unit: NDArray[np.float32], k: int
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Search more than k and compute again, until nothing outside can be as near as the k-th.

        A search widens where many vectors tie with the k-th, and then leaves surplus equal vectors out. Queries are
        searched in blocks, so that memory is bounded whatever ties.
        """
        vectors = self._stored()  # [n, d]
        similarities = np.empty((len(unit), k), np.float32)
        rows = np.empty((len(unit), k), np.int64)
        pending, width = np.arange(len(unit)), min(k + 16, len(self))
        index, names = self.index, np.arange(len(self))  # vector i of the searched index is row names[i]
        while len(pending):
            done = np.empty(len(pending), np.bool_)
            for start in range(0, len(pending), step := max(1, FOUND // width)):
                part = slice(start, start + step)
                queries = unit[pending[part]]  # [s, d]
                rounded, found = index.search(queries, width)  # [s, width] each  # pyright: ignore[reportCallIssue]
                precise, found = _in_order(self._similarities(queries, vectors, names[found]), names[found])
                similarities[pending[part]], rows[pending[part]] = precise[:, :k], found[:, :k]
                done[part] = precise[:, k - 1] > rounded[:, -1] + TOLERANCE
            pending = pending[~done] if width < len(names) else pending[:0]
            if len(pending):
                index, names = self._without_surplus(k)
            width = min(2 * width, len(names))
        return similarities, rows

    def _stored(self) -> NDArray[np.float32]:
        """Return the vectors [n, d] of a `flat` index: a view of its memory, not a copy."""
        flat: Any = self.index
        return faiss.rev_swig_ptr(flat.get_xb(), flat.ntotal * flat.d).reshape(flat.ntotal, flat.d)

    def _without_surplus(self, k: int) -> tuple[faiss.Index, NDArray[np.int64]]:
        """Return an index of the first k of all equal vectors, and their rows: no other is among the k nearest."""
        thinned = self._thinned  # of the latest k; another thread may replace it
        if thinned is None or thinned[0] != k:
            index, rows = self.index, np.flatnonzero(self._places < k)
            if len(rows) < len(self):
                index = faiss.IndexFlatIP(self.index.d)
                index.add(self._stored()[rows])  # pyright: ignore[reportCallIssue]
            self._thinned = thinned = k, index, rows
        return thinned[1:]

    @cached_property
    def _places(self) -> NDArray[np.int64]:
        """Of each vector its place among those that equal it, in order of rows: int64 [n], 0 for the first."""
        _, group = np.unique(_digests(self._stored()), return_inverse=True)  # [n]
        order = np.argsort(group, kind="stable")
        grouped, places = group[order], np.empty(len(group), np.int64)
        places[order] = np.arange(len(group)) - np.searchsorted(grouped, grouped)
        return places

    def _similarities(
        self, unit: NDArray[np.float32], vectors: NDArray[np.float32], rows: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """Return the dot products [b, w] of queries [b, d] with rows [b, w] of vectors, each by the same sum."""
        similarities = np.empty(rows.shape, np.float32)
        step = max(1, GATHER // (rows.shape[1] * self.index.d))
        for start in range(0, len(unit), step):
            part = slice(start, start + step)
            np.einsum("bd,bwd->bw", unit[part], vectors[rows[part]], out=similarities[part])
        return similarities

    def write(self, folder: Path, store_hash: str) -> None:
        """Write the index and a manifest that ties it to the store with that hash, replacing `folder`."""
        with atomic_directory(folder) as temporary:
            self.write_into(temporary, store_hash)

    def write_into(self, folder: Path, store_hash: str) -> None:
        """Write index and manifest beside what lies in `folder` already: lists and vectors of an `ivf_pq` index."""
        write_index(folder, self.index, self.setting, store_hash)

    @classmethod
    def open(cls, folder: Path, store_hash: str) -> "ItemIndex":
        """Open an index, if it was built from the store with that hash. It is memory-mapped.

        Warns:
            ApproximateSearchWarning: it is not exact.

        Raises:
            IndexMismatchError: it was built from another store, is damaged, or of another version.
        """
        opened = cls(*read_index(folder, store_hash))
        if not opened.exact:
            warnings.warn(f"{folder}: {opened}", ApproximateSearchWarning, stacklevel=2)
        return opened


def _digests(vectors: NDArray[np.float32]) -> NDArray[np.void]:
    """Return 16 bytes [n] for vectors [n, d] that are the same for equal bytes alone."""
    return np.array([blake2b(vector, digest_size=16).digest() for vector in vectors], "V16")


def _in_order(
    similarities: NDArray[np.float32], rows: NDArray[np.int64]
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Sort each line by similarity, falling, then by row, rising."""
    order = np.lexsort((rows, -similarities), axis=-1)
    return np.take_along_axis(similarities, order, 1), np.take_along_axis(rows, order, 1)
