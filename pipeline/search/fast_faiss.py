"""Matrix products for small batches of queries too. By default FAISS uses them for large batches only."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import faiss

QUERIES = 16
"""Batch size from which one product with the matrix of all vectors beats reading all vectors for each query."""

_LOCK = threading.Lock()
_FOUND: list[int] = []
"""FAISS's global threshold as each running search found it. The first value is the original one."""


@contextmanager
def matrix_products(width: int) -> Iterator[None]:
    """Let FAISS use matrix products in the block, for vectors of a width. Several threads may do so at once.

    FAISS 1.15 uses them from 128,000 numbers a batch, which is 1,000 queries of width 128. Without them a batch of 300
    takes ten times longer.
    """
    with _LOCK:
        _FOUND.append(faiss.cvar.distance_compute_blas_threshold)
        faiss.cvar.distance_compute_blas_threshold = QUERIES * width
    try:
        yield
    finally:
        with _LOCK:
            original = _FOUND.pop()
            if not _FOUND:
                faiss.cvar.distance_compute_blas_threshold = original
