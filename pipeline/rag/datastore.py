"""Source `next_items`: items that other users took around the most similar prefixes of their histories."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ..core.errors import CheckpointError, DataError
from ..core.files import atomic_directory, map_npy
from ..model.sources import NO_ITEM, Query, Retrieved
from ..search.vectors import unit_vectors
from .nearest_keys import BLOCK, Nearest, NearestKeys, largest
from .prefix_search import HistoryOverlap

REMEDY = "run `dvc repro`, or `dvc pull`"

TYPES = (np.float16, np.int32, np.int32)  # of keys, next items and users


@dataclass(frozen=True)
class Lookup:
    """Settings of a datastore's search: the keys of `FusionParams` with the same names."""

    shortlist: int
    overlap: float
    neighbours: int
    following: int
    preceding: int

    @property
    def ages(self) -> NDArray[np.int64]:
        """Distances of an entry's items from the end of its prefix, int64 [A]: 0 the next item, -1 the last before."""
        return np.concatenate([np.arange(self.following), -1 - np.arange(self.preceding)])


class Datastore:
    """A nearest-neighbour datastore of training prefixes (kNN-LM, Khandelwal et al. 2020, arXiv 1911.00172).

    An entry is a training prefix: its key is the user state after the prefix, its value the next item. The nearest
    keys make a shortlist, which is ranked again by states and overlap of histories together. A user never retrieves
    the user's own entries: later entries would leak the target, earlier entries only name items of the history.

    Args:
        keys: float16 [N, D], states scaled to norm 1 (float16 changes a cosine similarity by less than 1e-3). Entries
            of a user are adjacent, shortest prefix first: entry e + 1 holds the item after the next item of entry e.
        next_items: int [N], item rows.
        users: int [N], user rows.
        lookup: settings of the search.
    """

    def __init__(self, keys: NDArray[np.float16], next_items: NDArray, users: NDArray, lookup: Lookup) -> None:
        self.keys = keys
        self.next_items = np.asarray(next_items, np.int32)
        self.users = np.asarray(users, np.int32)
        self.lookup = lookup
        self._overlap = HistoryOverlap(self.next_items, self.users)
        self.nearest = NearestKeys(keys)

    @classmethod
    def of(cls, states: NDArray, next_items: NDArray, users: NDArray, lookup: Lookup) -> "Datastore":
        """Build a datastore from states, float [N, D]; the other arguments as above."""
        keys = np.empty(states.shape, np.float16)  # [N, D]
        for start in range(0, len(states), BLOCK):
            keys[start : start + BLOCK] = unit_vectors(states[start : start + BLOCK])
        return cls(keys, next_items, users, lookup)

    def __len__(self) -> int:
        return len(self.next_items)

    def retrieve(self, query: Query) -> Retrieved:
        """Return the items around the most similar prefixes of other users.

        The columns are ordered by age (next items, items after them, ..., items before), then by similarity; ties go
        to the lower entry.
        """
        queries = unit_vectors(query.states)  # [B, D]
        shape, weight = (len(queries), self.lookup.neighbours), self.lookup.overlap
        neighbours, similarities = np.full(shape, -1, np.int64), np.zeros(shape, np.float32)
        rows = np.flatnonzero(queries.any(1))  # the zero state of an empty history has no neighbours
        found = self.nearest.search(queries[rows], self.lookup.shortlist)
        for row, nearest in zip(rows, found, strict=True):
            entries, cosines = self._shortlist(queries[row], nearest, int(query.users[row]))
            scores = (1 - weight) * cosines + weight * self._overlap(query.histories[row], entries)  # [S]
            best = largest(scores, self.lookup.neighbours)
            best = best[np.argsort(-scores[best], kind="stable")]  # [K]
            neighbours[row, : len(best)], similarities[row, : len(best)] = entries[best], scores[best]
        return self._around(neighbours, similarities)

    def _shortlist(self, query: NDArray[np.float32], found: Nearest, user: int) -> Nearest:
        """Return the entries `found` of other users and their cosine similarities; entries ascend.

        Where the user's own entries leave too few others, the search is repeated with a longer list.
        """
        others = self.users[found[0]] != user
        if others.sum() < self.lookup.neighbours:
            size = self.lookup.shortlist + int((self.users == user).sum())
            (found,) = self.nearest.search(query[None], size)
            others = self.users[found[0]] != user
        return found[0][others], found[1][others]

    def _around(self, neighbours: NDArray[np.int64], similarities: NDArray[np.float32]) -> Retrieved:
        """Return the items around the neighbours, entries [B, K] (-1: none)."""
        count = len(self.lookup.ages)
        entries, similarities = np.tile(neighbours, count), np.tile(similarities, count)  # [B, A * K]
        ages = np.repeat(self.lookup.ages, self.lookup.neighbours)  # [A * K]
        shifted = np.clip(entries + ages, 0, len(self) - 1)  # [B, A * K], entry whose next item has this age
        origins = self.users[entries]  # [B, A * K]
        exists = (entries >= 0) & (entries + ages == shifted) & (self.users[shifted] == origins)
        items = np.where(exists, self.next_items[shifted], NO_ITEM)
        return Retrieved(items, similarities, ages.astype(np.float32), origins)

    def write(self, folder: Path) -> None:
        """Write `keys.npy` (float16 [N, D]) and `entries.parquet` (next_item, user)."""
        with atomic_directory(folder) as temporary:
            np.save(temporary / "keys.npy", self.keys)
            entries = pl.DataFrame({"next_item": self.next_items, "user": self.users})
            entries.write_parquet(temporary / "entries.parquet", compression="zstd")

    @classmethod
    def open(cls, folder: Path, lookup: Lookup) -> "Datastore":
        """Read the datastore that `write` wrote; the keys stay on the disk until they are used.

        Raises:
            CheckpointError: a file is missing or damaged, a value is invalid, or keys and entries do not match.
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
        return cls(keys, next_items, users, lookup)
