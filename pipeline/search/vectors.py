"""Vectors read a part at a time, from wherever they lie."""

from collections.abc import Iterator
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..core.errors import NumericalError
from .cosine import unit_vectors

BATCH = 65_536
"""Vectors held at a time."""


class Vectors(Protocol):
    """Float32 [n, d]: an array, a memory map, or anything that computes the rows that are asked for."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of vectors and their width."""
        ...

    def __getitem__(self, rows: slice | NDArray[np.int64], /) -> NDArray[np.float32]:
        """Return some rows, float32 [m, d]."""
        ...


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
