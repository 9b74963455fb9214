"""Vectors of unit norm: their products are cosines."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ..core.errors import NumericalError
from ..store.vectors import Vectors

BATCH = 65_536
"""Vectors held at a time."""


def unit_vectors(vectors: NDArray) -> NDArray[np.float32]:
    """Return vectors [n, d] scaled to norm 1, float32 and contiguous. Zero vectors stay zero."""
    norm = np.sqrt(np.einsum("nd,nd->n", vectors, vectors, dtype=np.float64))[:, None]  # [n, 1]
    return np.ascontiguousarray(vectors / np.where(norm > 0, norm, 1), np.float32)


def unit_batches(vectors: Vectors) -> Iterator[NDArray[np.float32]]:
    """Yield all vectors in order, scaled to norm 1, float32 [m, d] at a time.

    Raises:
        NumericalError: a vector is not finite.
    """
    for start in range(0, vectors.shape[0], BATCH):
        batch = vectors[start : start + BATCH]
        finite = np.isfinite(batch).all(axis=1)
        if not finite.all():
            row = start + int(np.argmin(finite))
            raise NumericalError("the vector is not finite", f"row {row}", "encode again")
        yield unit_vectors(batch)
