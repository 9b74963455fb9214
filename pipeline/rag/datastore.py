"""Source `next_items`: items that other users took around the most similar prefixes of their histories."""

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
from .params import Lookup

REMEDY = "run `dvc repro`, or `dvc pull`"
RECENCY = 0.9  # weight of an item in a history relative to the item right after it
WINDOW = 25  # number of latest items that count; the weight of older ones is below .08


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
        # Distances of an entry's items from the end of its prefix, [A]: 0 the next item, -1 the last before.
        self._ages = np.concatenate([np.arange(lookup.following), -1 - np.arange(lookup.preceding)])
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
        count, weight = self.lookup.neighbours, self.lookup.overlap  # K
        neighbours = np.full((len(queries), count), -1, np.int64)  # [B, K], entries; -1: none
        similarities = np.zeros(neighbours.shape, np.float32)  # [B, K]
        rows = np.flatnonzero(queries.any(1))  # the zero state of an empty history has no neighbours
        found = self.nearest.search(queries[rows], self.lookup.shortlist)
        for row, nearest in zip(rows, found, strict=True):
            entries, cosines = self._shortlist(queries[row], nearest, int(query.users[row]))
            scores = (1 - weight) * cosines + weight * self._overlap(query.histories[row], entries)  # [S]
            best = largest(scores, count)  # [at most K]
            neighbours[row, : len(best)], similarities[row, : len(best)] = entries[best], scores[best]
        entries = np.tile(neighbours, len(self._ages))  # [B, A * K]
        ages = np.repeat(self._ages, count)  # [A * K]
        shifted = np.clip(entries + ages, 0, len(self) - 1)  # [B, A * K], entry whose next item has this age
        origins = self.users[entries]  # [B, A * K]
        exists = (entries >= 0) & (entries + ages == shifted) & (self.users[shifted] == origins)
        items = np.where(exists, self.next_items[shifted], NO_ITEM)
        return Retrieved(items, np.tile(similarities, len(self._ages)), ages.astype(np.float32), origins)

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

    def write(self, folder: Path) -> None:
        """Write `keys.npy` (float16 [N, D]) and `entries.parquet` (next_item, user)."""
        with atomic_directory(folder) as temporary:
            np.save(temporary / "keys.npy", self.keys)
            entries = pl.DataFrame({"next_item": self.next_items, "user": self.users})
            entries.write_parquet(temporary / "entries.parquet", compression="zstd")

    @classmethod
    def open(cls, folder: Path, lookup: Lookup) -> "Datastore":
        """Read what `write` wrote; raise ``CheckpointError`` if it is damaged. Keys stay on disk until used."""
        where = str(folder)
        try:
            keys = map_npy(folder / "keys.npy")
            entries = pq.read_table(folder / "entries.parquet")  # polars panics on some damaged files
            entries.validate(full=True)
            next_items, users = (entries[name].to_numpy() for name in ("next_item", "user"))
        except (DataError, OSError, ValueError, KeyError, pa.ArrowException) as error:
            raise CheckpointError(f"cannot be read: {error}", where, REMEDY) from None
        if (keys.dtype, next_items.dtype, users.dtype) != (np.float16, np.int32, np.int32):
            raise CheckpointError("keys are not float16, or entries are not int32", where, REMEDY)
        if keys.ndim != 2 or len(keys) != len(entries):
            raise CheckpointError(f"keys {keys.shape} do not fit {len(entries)} entries", where, REMEDY)
        if not np.isfinite(keys).all() or min(next_items.min(initial=0), users.min(initial=0)) < 0:
            raise CheckpointError("a key is not finite, or an entry is negative", where, REMEDY)
        return cls(keys, next_items, users, lookup)


def earlier_entries(users: NDArray[np.integer]) -> NDArray[np.int64]:
    """Return how many entries of the same user stand before each entry, int64 [N]; a user's entries are adjacent."""
    first = np.flatnonzero(np.diff(users, prepend=-1))  # [U]
    return np.arange(len(users)) - np.repeat(first, np.diff(first, append=len(users)))


class HistoryOverlap:
    """Cosine similarity of two bags of items, weighted by recency.

    As in session-based nearest neighbours (STAN, Garg et al. 2019, doi 10.1145/3331184.3331322). A user's first item
    is no entry's next item, so it does not count. Item rows and user rows are those of a datastore's entries, int [N].
    """

    def __init__(self, next_items: NDArray[np.integer], users: NDArray[np.integer]) -> None:
        before = np.pad(next_items, (WINDOW, 0))  # [W + N]
        # Row e: the next items of the entries before entry e, latest first; items of another user weigh 0.
        self._before = np.lib.stride_tricks.sliding_window_view(before, WINDOW)[:, ::-1]  # [N + 1, W]
        self._highest = int(next_items.max(initial=0))
        pairs = users.astype(np.int64) * (self._highest + 1) + next_items  # [N]
        pairs.sort()
        repeated = (pairs[1:] == pairs[:-1]).any()  # a user has an item twice
        self._counted = earlier_entries(users).clip(max=WINDOW).astype(np.int8)  # [N], prefix items that count
        weights = RECENCY ** np.arange(WINDOW, dtype=np.float32)  # [W]
        # Row c: the weights of a prefix of c items, latest first.
        self._weights = np.tri(WINDOW + 1, WINDOW, -1, np.float32) * weights  # [W + 1, W]
        norms = np.linalg.norm(self._weights, axis=1)  # [W + 1]
        # [N], of each prefix; with repeats, NaN until the prefix is first compared.
        self._norms = np.full(len(users), np.nan, np.float32) if repeated else norms[self._counted]

    def __call__(self, history: NDArray[np.int64], entries: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the overlap of a history (item rows, oldest first) with each entry's prefix, float32 [S] in [0, 1]."""
        latest = history[::-1][:WINDOW]
        bag = np.zeros(max(self._highest, latest.max(initial=0)) + 1, np.float32)  # [n]
        np.add.at(bag, latest, self._weights[WINDOW, : len(latest)])
        items = self._before[entries]  # [S, W]
        shared = bag.take(items)  # [S, W]
        weights = self._weights.take(self._counted[entries], axis=0)  # [S, W]
        norms = self._norms[entries]  # [S]
        if (new := np.isnan(norms)).any():
            norms[new] = self._norms[entries[new]] = _norms(items[new], weights[new])
        length = norms * np.linalg.norm(bag[np.unique(latest)])  # [S]
        return (weights * shared).sum(1) / np.maximum(length, np.finfo(np.float32).tiny)


def _norms(items: NDArray[np.integer], weights: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return the norms of bags of items, both [S, W]; the weights of an item that is there again add up."""
    sums = ((items[:, :, None] == items[:, None]) @ weights[:, :, None])[:, :, 0]  # [S, W]
    return np.sqrt((weights * sums).sum(1))  # [S]
