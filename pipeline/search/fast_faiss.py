"""Matrix products for batches of queries, which FAISS uses for large ones only."""

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import faiss

QUERIES = 16
"""Queries from which one product with the matrix of all vectors beats reading the vectors for each query."""


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
