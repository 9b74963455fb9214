"""The machine's own speed: matrix products for batches of queries, and GPUs where faiss-gpu finds any."""

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

QUERIES = 16
"""Queries from which one product with the matrix of all vectors beats reading the vectors for each query."""

WORTH_COPYING = 4096
"""Queries from which a search is worth copying the index to the GPUs."""

GPU_LIMIT = 2048
"""Neighbours that FAISS finds on a GPU at most."""


class _Threshold:
    """FAISS's global threshold of matrix products: set by the first search, put back by the last of those at work."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._searches, self._before = 0, 0

    @contextmanager
    def at(self, value: int) -> Iterator[None]:
        """Set the threshold within the block."""
        with self._lock:
            if not self._searches:
                self._before = faiss.cvar.distance_compute_blas_threshold
            self._searches += 1
            faiss.cvar.distance_compute_blas_threshold = value
        try:
            yield
        finally:
            with self._lock:
                self._searches -= 1
                if not self._searches:
                    faiss.cvar.distance_compute_blas_threshold = self._before


_THRESHOLD = _Threshold()


def matrix_products(width: int) -> AbstractContextManager[None]:
    """Let FAISS compare batches of vectors of a width by matrix products within the block, in any number of threads.

    FAISS 1.15 does so from 128,000 numbers a batch only, 1,000 queries of width 128; a batch of 300 then takes ten
    times longer than it need.
    """
    return _THRESHOLD.at(QUERIES * width)


def on_gpus(index: faiss.Index) -> faiss.Index:
    """Return a copy of the index on all GPUs that faiss-gpu finds; without any, the index itself."""
    return faiss.index_cpu_to_all_gpus(index) if faiss.get_num_gpus() else index


def engine(index: faiss.Index, queries: int, k: int) -> faiss.Index:
    """Return what searches an exact index best: a copy on the GPUs for many queries, else the index itself."""
    return on_gpus(index) if queries >= WORTH_COPYING and k <= GPU_LIMIT else index


class ListAdder:
    """Adds vectors to inverted lists; the GPUs, where faiss-gpu finds any, say which list each belongs to.

    That is most of the work where lists are many. The index itself stays on the CPU, so there is nothing to bring back.

    Args:
        index: a trained `faiss.IndexIVF`.
    """

    def __init__(self, index: Any) -> None:
        self._nearest = on_gpus(index.quantizer)

    def add(self, index: Any, vectors: NDArray[np.float32], rows: NDArray[np.int64]) -> None:
        """Add vectors float32 [m, d] as rows int64 [m] to the index, or to one that was trained as it was."""
        _, lists = self._nearest.search(vectors, 1)  # [m, 1]  # pyright: ignore[reportCallIssue]
        pointers = (faiss.swig_ptr(array) for array in (vectors, rows, lists))
        index.add_core(len(vectors), *pointers)
