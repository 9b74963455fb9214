"""Cosine similarity as an inner product."""

import numpy as np
from numpy.typing import NDArray


def unit_vectors(vectors: NDArray) -> NDArray[np.float32]:
    """Return vectors [n, d] scaled to norm 1, float32 and contiguous. Zero vectors stay zero."""
    norm = np.sqrt(np.einsum("nd,nd->n", vectors, vectors, dtype=np.float64))[:, None]  # [n, 1]
    return np.ascontiguousarray(vectors / np.where(norm > 0, norm, 1), np.float32)
