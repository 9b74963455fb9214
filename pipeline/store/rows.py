"""Vectors as those who read them see them, wherever they lie."""

from collections.abc import Iterator
from typing import Protocol, overload

import numpy as np
from numpy.typing import NDArray


class Rows(Protocol):
    """Float32 [n, d]: an array, a memory map, or several of them one below the other."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of vectors and their width."""
        ...

    def __len__(self) -> int:
        """Return the number of vectors."""
        ...

    def __iter__(self) -> Iterator[NDArray[np.float32]]:
        """Yield the vectors in order, float32 [d]."""
        ...

    def __array__(self) -> NDArray[np.float32]:
        """Return all of them as an array."""
        ...

    @overload
    def __getitem__(self, rows: int, /) -> NDArray[np.float32]: ...
    @overload
    def __getitem__(self, rows: slice | NDArray[np.int64] | list[int], /) -> NDArray[np.float32]: ...
