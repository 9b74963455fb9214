"""Source `next_items`: what other users took next, and soon after, where they stood as this user stands."""

from pathlib import Path

import faiss
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ..errors import CheckpointError, DataError
from ..files import atomic_directory, map_npy
from .cosine import unit_vectors
from .sources import NO_ITEM, Query, Retrieved

REMEDY = "run `dvc repro train_rag`, or `dvc pull`"

TYPES = (np.float16, np.int32, np.int32)
"""Of keys, next items and users."""


class Datastore:
    """Remembered training prefixes: the user's state after the prefix, and the item that came next.

    As in kNN-LM (Khandelwal et al. 2020, arXiv 1911.00172). Search is exact. A user never retrieves entries of
    his own: those of later positions would leak, those of earlier ones name items of his history.

    Args:
        states: float [N, D], kept as float16 (cosine similarity changes by less than 1e-3). All prefixes of a user
            stand together, shortest first: what came later is what the entries behind came to next.
        next_items: int [N], item rows.
        users: int [N], user rows.
        neighbours: entries retrieved per query.
        following: items taken from an entry: the next one and those that came after it.
    """

    def __init__(
        self, states: NDArray, next_items: NDArray, users: NDArray, neighbours: int, following: int
    ) -> None:
        self.keys = unit_vectors(states).astype(np.float16)  # [N, D]
        self.next_items = np.asarray(next_items, np.int32)
        self.users = np.asarray(users, np.int32)
        self.neighbours, self.following = neighbours, following
        self._index = faiss.IndexFlatIP(self.keys.shape[1])
        self._index.add(self.keys.astype(np.float32))  # pyright: ignore[reportCallIssue]

    def __len__(self) -> int:
        return len(self.next_items)

    def retrieve(self, query: Query) -> Retrieved:
        """Return the items that followed the nearest prefixes of other users.

        They come as all next items, nearest prefix first (ties go by entry), then all items after these, and so
        on; the age of an item is its distance from the prefix.
        """
        queries = unit_vectors(query.states)  # [B, D]
        entries = np.full((len(queries), self.neighbours), -1, np.int64)
        asking = np.flatnonzero(queries.any(1))  # nothing resembles an empty history
        _, found = self._index.search(queries[asking], 2 * self.neighbours)  # pyright: ignore[reportCallIssue]
        for row, place in enumerate(asking):
            # Where fewer entries exist than were asked for, FAISS fills up with -1.
            others = found[row, (found[row] >= 0) & (self.users[found[row]] != query.users[place])]
            if len(others) < self.neighbours:
                others = self._search_among_others(queries[place], query.users[place])
            kept = others[: self.neighbours]
            entries[place, : len(kept)] = kept
        return self._retrieved(queries, entries)

    def _search_among_others(self, query: NDArray[np.float32], user: int) -> NDArray[np.int64]:
        """Search for one user whose own entries crowd the others out: query [D] to entries, nearest first."""
        own = faiss.IDSelectorBatch(np.flatnonzero(self.users == user))
        others = faiss.SearchParameters(sel=faiss.IDSelectorNot(own))  # pyright: ignore[reportCallIssue]
        _, found = self._index.search(query[None], self.neighbours, params=others)  # pyright: ignore[reportCallIssue]
        return found[0, found[0] >= 0]

    def _retrieved(self, queries: NDArray[np.float32], entries: NDArray[np.int64]) -> Retrieved:
        # Similarities are taken anew: FAISS rounds differently for different batch sizes.
        keys = self.keys[entries].astype(np.float32)  # [B, K, D]
        similarities = np.einsum("bd,bkd->bk", queries, keys)  # [B, K]
        entries, similarities = np.tile(entries, self.following), np.tile(similarities, self.following)
        ages = np.repeat(np.arange(self.following), self.neighbours)  # [following * K]
        later = np.minimum(entries + ages, len(self) - 1)  # [B, following * K]
        origins = self.users[entries]  # [B, following * K]
        there = (entries >= 0) & (entries + ages == later) & (self.users[later] == origins)
        items = np.where(there, self.next_items[later], NO_ITEM).astype(np.int64)
        return Retrieved(items, similarities, ages.astype(np.float32), origins)

    def write(self, folder: Path) -> None:
        """Write `keys.npy` (float16 [N, D]) and `entries.parquet` (next_item, user)."""
        with atomic_directory(folder) as temporary:
            np.save(temporary / "keys.npy", self.keys)
            entries = pl.DataFrame({"next_item": self.next_items, "user": self.users})
            entries.write_parquet(temporary / "entries.parquet", compression="zstd")

    @classmethod
    def open(cls, folder: Path, neighbours: int, following: int) -> "Datastore":
        """Read what `write` wrote.

        Raises:
            CheckpointError: a file is missing or damaged, a number is impossible, or the two do not fit.
        """
        where = str(folder)
        try:
            keys = map_npy(folder / "keys.npy")
            entries = pq.read_table(folder / "entries.parquet")  # polars panics on some damaged files
            entries.validate(full=True)
            next_items, users = (entries[name].to_numpy() for name in ("next_item", "user"))
        except (DataError, OSError, ValueError, KeyError, pa.ArrowException) as error:
            raise CheckpointError(f"cannot be read: {error}", where, REMEDY) from None
        if (keys.dtype, next_items.dtype, users.dtype) != TYPES:
            raise CheckpointError("keys are not float16, or entries are not int32", where, REMEDY)
        if keys.ndim != 2 or len(keys) != len(entries):
            raise CheckpointError(f"keys {keys.shape} do not fit {len(entries)} entries", where, REMEDY)
        if not np.isfinite(keys).all() or min(next_items.min(initial=0), users.min(initial=0)) < 0:
            raise CheckpointError("a key is not finite, or an entry is negative", where, REMEDY)
        return cls(keys, next_items, users, neighbours, following)
