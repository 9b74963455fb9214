"""Source `next_items`: what other users took next after a prefix similar to this one."""

from pathlib import Path

import faiss
import numpy as np
import polars as pl
from numpy.typing import NDArray

from ..errors import CheckpointError
from ..files import atomic_directory
from .sources import NO_ITEM, Query, Retrieved

REMEDY = "run `dvc repro train_rag`, or `dvc pull`"


class Datastore:
    """Remembered training prefixes: the user's state after the prefix, and the item that came next.

    As in kNN-LM (Khandelwal et al. 2020, arXiv 1911.00172). Search is exact. A user never retrieves entries of
    his own: those of later positions would leak, those of earlier ones name items of his history.

    Args:
        states: float [N, D], kept as float16 (cosine similarity changes by less than 1e-3).
        next_items: int [N], item rows.
        users: int [N], user rows.
        neighbours: entries retrieved per query.
    """

    def __init__(self, states: NDArray, next_items: NDArray, users: NDArray, neighbours: int) -> None:
        self.keys = _normalised(states).astype(np.float16)  # [N, D]
        self.next_items = np.asarray(next_items, np.int32)
        self.users = np.asarray(users, np.int32)
        self.neighbours = neighbours
        self._index = faiss.IndexFlatIP(self.keys.shape[1])
        self._index.add(self.keys.astype(np.float32))  # pyright: ignore[reportCallIssue]

    def __len__(self) -> int:
        return len(self.next_items)

    def retrieve(self, query: Query) -> Retrieved:
        """Return the next items of the nearest prefixes of other users, nearest first; ties go by entry."""
        queries = _normalised(query.states)  # [B, D]
        entries = np.full((len(queries), self.neighbours), -1, np.int64)
        todo, fetch = np.arange(len(queries)), 2 * self.neighbours
        while len(todo):
            fetch = min(fetch, len(self))
            _, found = self._index.search(queries[todo], fetch)  # pyright: ignore[reportCallIssue]
            foreign = self.users[found] != query.users[todo, None]  # [b, fetch]
            enough = foreign.sum(1) >= self.neighbours
            if fetch == len(self):
                enough[:] = True
            for place in np.flatnonzero(enough):
                kept = found[place, foreign[place]][: self.neighbours]
                entries[todo[place], : len(kept)] = kept
            todo, fetch = todo[~enough], 4 * fetch
        return self._retrieved(queries, entries)

    def _retrieved(self, queries: NDArray[np.float32], entries: NDArray[np.int64]) -> Retrieved:
        # Similarities are taken anew: FAISS rounds differently for different batch sizes.
        keys = self.keys[entries].astype(np.float32)  # [B, K, D]
        similarities = np.einsum("bd,bkd->bk", queries, keys)  # [B, K]
        items = np.where(entries >= 0, self.next_items[entries], NO_ITEM).astype(np.int64)
        return Retrieved(items, similarities, np.zeros_like(similarities))

    def write(self, folder: Path) -> None:
        """Write `keys.npy` (float16 [N, D]) and `entries.parquet` (next_item, user)."""
        with atomic_directory(folder) as temporary:
            np.save(temporary / "keys.npy", self.keys)
            entries = pl.DataFrame({"next_item": self.next_items, "user": self.users})
            entries.write_parquet(temporary / "entries.parquet", compression="zstd")

    @classmethod
    def open(cls, folder: Path, neighbours: int) -> "Datastore":
        """Read what `write` wrote.

        Raises:
            CheckpointError: a file is missing or damaged, or the two do not fit.
        """
        try:
            keys = np.load(folder / "keys.npy", allow_pickle=False)
            entries = pl.read_parquet(folder / "entries.parquet")
            next_items, users = entries["next_item"].to_numpy(), entries["user"].to_numpy()
        except (OSError, EOFError, ValueError, pl.exceptions.PolarsError) as error:
            raise CheckpointError(f"cannot be read: {error}", str(folder), REMEDY) from None
        if keys.ndim != 2 or len(keys) != len(entries):
            raise CheckpointError(f"keys {keys.shape} do not fit {len(entries)} entries", str(folder), REMEDY)
        return cls(keys, next_items, users, neighbours)


def _normalised(vectors: NDArray) -> NDArray[np.float32]:
    vectors = np.asarray(vectors, np.float32)
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)
