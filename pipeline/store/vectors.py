"""The protocol of vectors: an array, a memory map, or an object that reads or computes rows on demand."""

from collections.abc import Iterator
from hashlib import blake2b
from typing import Protocol, overload

import numpy as np
from numpy.typing import NDArray

CHUNK = 65_536  # vectors read at a time


class Vectors(Protocol):
    """Float32 [n, d]. An implementation defines `shape` and `__getitem__`, and inherits the rest."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of vectors and their width."""
        ...

    @overload
    def __getitem__(self, rows: int, /) -> NDArray[np.float32]: ...
    @overload
    def __getitem__(self, rows: slice | NDArray[np.int64] | list[int], /) -> NDArray[np.float32]: ...

    def __len__(self) -> int:
        """Return the number of vectors."""
        return self.shape[0]

    def __iter__(self) -> Iterator[NDArray[np.float32]]:
        """Yield the vectors in order, float32 [d]."""
        for start in range(0, len(self), CHUNK):
            yield from self[start : start + CHUNK]

    def __array__(self, dtype: None = None, /, *, copy: bool | None = None) -> NDArray[np.float32]:
        """Return all vectors in memory."""
        return np.asarray(self[:], dtype)


def groups_of_equal(vectors: NDArray[np.float32]) -> NDArray[np.int64]:
    """Number the vectors [n, d] such that equal ones, byte by byte, share a number: int64 [n], from 0 without gaps."""
    digests = np.array([blake2b(vector, digest_size=16).digest() for vector in vectors], "V16")  # [n]
    return np.unique(digests, return_inverse=True)[1]
