"""The vectors of all shards, read as one matrix."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .shards import Shard


class ShardedVectors:
    """Float32 [n, d] in shards one below the other; only those are read whose rows are asked for.

    Args:
        shards: in order.
        width: d.
    """

    dtype = np.dtype(np.float32)
    ndim = 2

    def __init__(self, shards: Sequence[Shard], width: int) -> None:
        self._shards = shards
        self._starts = np.cumsum([0, *(shard.count for shard in shards)])  # [shards + 1]
        self.shape = (int(self._starts[-1]), width)

    def __len__(self) -> int:
        """Return n."""
        return self.shape[0]

    def __iter__(self) -> Iterator[NDArray[np.float32]]:
        """Yield the vectors in order, float32 [d]."""
        for _, vectors in self.parts():
            yield from vectors

    def parts(self) -> Iterator[tuple[Path, NDArray[np.float32]]]:
        """Yield each shard's file and vectors, float32 [m, d]."""
        for shard in self._shards:
            yield shard.path, shard.vectors

    def __getitem__(self, rows: int | np.integer | slice | Sequence[int] | NDArray) -> NDArray[np.float32]:
        """Return one row [d], or some [m, d]; without a copy one row, or a slice within one shard.

        Raises:
            IndexError: there is no such row.
        """
        if isinstance(rows, slice) and rows.indices(len(self))[2] == 1:
            start, stop, _ = rows.indices(len(self))
            return self._between(start, stop)
        if isinstance(rows, int | np.integer):
            (row,), (number,) = self._locate(np.array([rows]))
            return self._shards[number].vectors[row]
        chosen = np.arange(*rows.indices(len(self))) if isinstance(rows, slice) else np.asarray(rows)
        if chosen.dtype == np.bool_:
            chosen = np.flatnonzero(chosen)
        return self._some(chosen.astype(np.int64))

    def __array__(self, dtype: np.dtype | None = None, copy: bool | None = None) -> NDArray:
        """Return all of them in memory."""
        return np.asarray(self[:], dtype)

    def _between(self, start: int, stop: int) -> NDArray[np.float32]:
        if start >= stop:
            return np.empty((0, self.shape[1]), np.float32)
        first, last = (self._starts.searchsorted([start, stop - 1], "right") - 1).tolist()
        pieces = []
        for number in range(first, last + 1):
            before = int(self._starts[number])
            pieces.append(self._shards[number].vectors[max(0, start - before) : stop - before])
        return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)

    def _some(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        found = np.empty((len(rows), self.shape[1]), np.float32)
        rows, numbers = self._locate(rows)
        for number in np.unique(numbers).tolist():
            of_one = numbers == number
            found[of_one] = self._shards[number].vectors[rows[of_one]]
        return found

    def _locate(self, rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return each row's place in its shard, and the shard's number."""
        rows = np.where(rows < 0, rows + len(self), rows)
        if len(rows) and not 0 <= rows.min() <= rows.max() < len(self):
            raise IndexError(f"rows are 0 to {len(self) - 1}")
        numbers = self._starts.searchsorted(rows, "right") - 1
        return rows - self._starts[numbers], numbers
