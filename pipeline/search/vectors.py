"""Vectors of unit norm, whose products are cosines, and products of matrices in FAISS."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import faiss
import numpy as np
from numpy.typing import NDArray

from ..core.errors import NumericalError
from ..store.vectors import Vectors

BATCH = 65_536  # vectors held at a time
QUERIES = 16
"""Batch size from which one product with the matrix of all vectors beats reading all vectors for each query."""
_LOCK = threading.Lock()
_FOUND: list[int] = []
"""FAISS's global threshold as each running search found it. The first value is the original one."""


def unit_vectors(vectors: NDArray) -> NDArray[np.float32]:
    """Return vectors [n, d] scaled to norm 1, float32 and contiguous. Zero vectors stay zero."""
    norm = np.sqrt(np.einsum("nd,nd->n", vectors, vectors, dtype=np.float64))[:, None]  # [n, 1]
    return np.ascontiguousarray(vectors / np.where(norm > 0, norm, 1), np.float32)


def unit_batches(vectors: Vectors) -> Iterator[NDArray[np.float32]]:
    """Yield all vectors in order, scaled to norm 1, float32 [m, d]; raise ``NumericalError`` if one is not finite."""
    for start in range(0, vectors.shape[0], BATCH):
        batch = vectors[start : start + BATCH]
        finite = np.isfinite(batch).all(axis=1)
        if not finite.all():
            row = start + int(np.argmin(finite))
            raise NumericalError("the vector is not finite", f"row {row}", "encode again")
        yield unit_vectors(batch)


@contextmanager
def matrix_products(width: int) -> Iterator[None]:
    """Let FAISS use matrix products for small batches of queries too, in the block, for vectors of a width.

    By default FAISS 1.15 uses them from 128,000 numbers a batch, which is 1,000 queries of width 128. Without them a
    batch of 300 takes ten times longer. Several threads may be in such a block at once.
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
