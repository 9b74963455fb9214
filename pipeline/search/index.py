"""Cosine nearest neighbours of item vectors, found by FAISS, in a total order."""

import warnings
from functools import cached_property
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from ..core.errors import HierrecWarning, IndexMismatchError, NumericalError
from ..store.vectors import Vectors, groups_of_equal
from .index_files import REMEDY, Setting, read_index
from .vectors import matrix_products, unit_batches, unit_vectors

TOLERANCE = 1e-4  # more than the rounding error of a float32 dot product of unit vectors, in any order of summation
GATHER = 2**24  # numbers gathered at a time to recompute similarities
FOUND = 2**22  # neighbours that an exact search finds at a time: queries of a block, times neighbours of each
RANKED_AGAIN = 8  # rows that an `ivf_pq` index finds per row wanted, to be ranked again by the full vectors

Found = tuple[NDArray[np.float32], NDArray[np.int64]]  # similarities and rows, [b, k] each


class ApproximateSearchWarning(HierrecWarning):
    """The index is approximate and may miss some of the true neighbours."""


class ItemIndex:
    """Cosine similarity search over item vectors. Row i of the index is row i of the vectors.

    A `flat` index is exact: the similarities of the candidates that FAISS finds are recomputed one by one. So results
    depend neither on the batch nor on the number of threads, and equal vectors tie and are ordered by row. The other
    kinds are approximate: `exact`, the manifest and a warning say so. Their similarities are exact.

    `index` holds vectors of unit norm. An `ivf_pq` index recomputes similarities from `vectors`, float32 [n, d]; the
    other kinds hold the vectors themselves.
    """

    def __init__(
        self, index: faiss.Index, setting: Setting | None = None, vectors: NDArray[np.float32] | None = None
    ) -> None:
        self.index, self.setting, self._vectors = index, setting or Setting(), vectors
        # Not `lru_cache`, which would refer back to this object: garbage collection of a cycle crashes FAISS.
        self._thinned: tuple[int, faiss.Index, NDArray[np.int64]] | None = None

    @classmethod
    def build(cls, vectors: Vectors) -> "ItemIndex":
        """Build an exact index of vectors float32 [n, d]; `build_index` builds the other kinds.

        A zero vector has similarity 0 to all others. Raises ``NumericalError`` if a vector is not finite.
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
        """Return a description for people."""
        quality = "exact" if self.exact else f"approximate: recall@20 {self.setting.recall_at_20:.3f}"
        return f"FAISS {self.setting.factory}, {quality}"

    def __len__(self) -> int:
        return self.index.ntotal

    def search(self, queries: NDArray[np.float32], k: int) -> Found:
        """Return the nearest neighbours of each query, most similar first, equal similarities by row.

        Queries, float32 [b, d], may have any norm; k is at least 1. The answer is cosine similarities, float32, and
        rows, int64, [b, min(k, n)] each. An approximate index may find fewer; then the last entries are row -1 with
        similarity minus infinity.

        Raises:
            IndexMismatchError: the queries have another width than the index, or the index is damaged.
            NumericalError: a query is not finite.
        """
        if queries.ndim != 2 or queries.shape[1] != self.index.d:
            what = f"queries of shape {queries.shape} do not fit vectors of width {self.index.d}"
            raise IndexMismatchError(what, remedy=REMEDY)
        if not np.isfinite(queries).all():
            raise NumericalError("a query is not finite", "index")
        unit, k = unit_vectors(queries), min(k, len(self))
        with matrix_products(self.index.d):
            if not self.exact:
                return self._search_approximately(unit, k)
            same = groups_of_equal(unit)  # [b]
            _, first = np.unique(same, return_index=True)  # [q]
            similarities, rows = self._search_exactly(unit[first], k)  # equal queries are searched once
            return similarities[same], rows[same]

    def _search_approximately(self, unit: NDArray[np.float32], k: int) -> Found:
        wanted = k if self._vectors is None else min(RANKED_AGAIN * k, len(self))
        similarities, rows = self.index.search(unit, wanted)  # [b, w] each
        # Inverted lists are read here, not when the index is opened.
        if not ((rows >= -1) & (rows < len(self))).all():
            raise IndexMismatchError("names vectors that it does not hold", "index", REMEDY)
        if self._vectors is not None:
            similarities = self._similarities(unit, self._vectors, rows)
        similarities[rows < 0] = -np.inf
        similarities, rows = _in_order(similarities, rows)
        return similarities[:, :k], rows[:, :k]

    def _search_exactly(self, unit: NDArray[np.float32], k: int) -> Found:
        """Find more than k candidates, recompute similarities, and widen until no other vector can be among the k.

        The search widens if many vectors tie with the k-th; from then on it leaves out equal vectors beyond the first
        k. Blocks of queries bound the memory.
        """
        vectors = self._stored()  # [n, d]
        similarities, rows = np.empty((len(unit), k), np.float32), np.empty((len(unit), k), np.int64)
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
        """View the vectors [n, d] of a `flat` index."""
        flat: Any = self.index
        return faiss.rev_swig_ptr(flat.get_xb(), flat.ntotal * flat.d).reshape(flat.ntotal, flat.d)

    def _without_surplus(self, k: int) -> tuple[faiss.Index, NDArray[np.int64]]:
        """Return an index of the first k of each group of equal vectors, and their rows [m]."""
        thinned = self._thinned  # of the latest k; another thread may replace it
        if thinned is None or thinned[0] != k:
            order = np.argsort(self._groups, kind="stable")
            grouped = self._groups[order]  # [n]; a vector is surplus if the one k places before is its equal
            rows = np.sort(np.concatenate([order[:k], order[k:][grouped[k:] != grouped[:-k]]]))
            index = self.index
            if len(rows) < len(self):
                index = faiss.IndexFlatIP(self.index.d)
                index.add(self._stored()[rows])  # pyright: ignore[reportCallIssue]
            self._thinned = thinned = k, index, rows
        return thinned[1:]

    @cached_property
    def _groups(self) -> NDArray[np.int64]:
        return groups_of_equal(self._stored())

    def _similarities(
        self, unit: NDArray[np.float32], vectors: NDArray[np.float32], rows: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """Return the dot products [b, w] of queries [b, d] with rows [b, w] of vectors, summed in one fixed order."""
        similarities = np.empty(rows.shape, np.float32)
        step = max(1, GATHER // (rows.shape[1] * self.index.d))
        for start in range(0, len(unit), step):
            part = slice(start, start + step)
            np.einsum("bd,bwd->bw", unit[part], vectors[rows[part]], out=similarities[part])
        return similarities

    @classmethod
    def open(cls, folder: Path, store_hash: str) -> "ItemIndex":
        """Memory-map an index that was built from the store with that hash; warn if it is approximate.

        Raises ``IndexMismatchError`` if it was built from another store, is damaged, or has another version.
        """
        opened = cls(*read_index(folder, store_hash))
        if not opened.exact:
            warnings.warn(f"{folder}: {opened}", ApproximateSearchWarning, stacklevel=2)
        return opened


def _in_order(similarities: NDArray[np.float32], rows: NDArray[np.int64]) -> Found:
    """Sort each line by descending similarity, then by ascending row."""
    order = np.lexsort((rows, -similarities), axis=-1)
    return np.take_along_axis(similarities, order, 1), np.take_along_axis(rows, order, 1)
