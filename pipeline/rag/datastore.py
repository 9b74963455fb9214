"""Source `next_items`: what other users took around the moment when they stood as this user stands."""

import copy
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray

from ..core.errors import CheckpointError, DataError
from ..core.files import atomic_directory, map_npy
from ..model.sources import NO_ITEM, Query, Retrieved
from ..search.cosine import unit_vectors
from ..search.fast_faiss import matrix_products
from .overlap import HistoryOverlap
from .prefix_search import BLOCK, PROBED, REFINED, Search, build_index

REMEDY = "run `dvc repro train_rag`, or `dvc pull`"

MARGIN = 64
"""Entries that are looked up beyond the shortlist: by rounding, FAISS may take another for the last on it."""

TYPES = (np.float16, np.int32, np.int32)
"""Of keys, next items and users."""


@dataclass(frozen=True)
class Lookup:
    """How a datastore is asked.

    Attributes:
        shortlist: entries with the nearest states, which are ranked again by states and histories.
        overlap: weight of the histories in that ranking, 0 to 1; the rest is the states'.
        neighbours: entries that are kept of the shortlist.
        following: items taken from an entry: the next one and those that came after it.
        preceding: items taken from before it.
    """

    shortlist: int
    overlap: float
    neighbours: int
    following: int
    preceding: int

    @property
    def ages(self) -> NDArray[np.int64]:
        """The distance of each item taken from an entry: 0 is the next one, -1 the one before; int64 [A]."""
        return np.concatenate([np.arange(self.following), -1 - np.arange(self.preceding)])


class Datastore:
    """Remembered training prefixes: the user's state after the prefix, and the item that came next.

    As in kNN-LM (Khandelwal et al. 2020, arXiv 1911.00172). Search is exact, unless `searched` is asked for another;
    the nearest states are ranked again by how much the histories overlap as well. A user never retrieves entries of
    his own: those of later positions would leak, those of earlier ones name items of his history.

    Args:
        keys: float16 [N, D], states scaled to norm 1 (in float16 cosine similarity changes by less than 1e-3). All
            prefixes of a user stand together, shortest first. The items that came later are the next items of the
            following entries.
        next_items: int [N], item rows.
        users: int [N], user rows.
        lookup: how it is asked.

    Attributes:
        search: how the nearest states are found, `exact` or `fast`.
    """

    def __init__(
        self, keys: NDArray[np.float16], next_items: NDArray, users: NDArray, lookup: Lookup
    ) -> None:
        self.keys = keys
        self.next_items = np.asarray(next_items, np.int32)
        self.users = np.asarray(users, np.int32)
        self.lookup = lookup
        self._overlap = HistoryOverlap(self.next_items, self.users)
        self.search: Search = "exact"

    @classmethod
    def of(cls, states: NDArray, next_items: NDArray, users: NDArray, lookup: Lookup) -> "Datastore":
        """Remember states, float [N, D]; the rest as above."""
        keys = np.empty(states.shape, np.float16)  # [N, D]
        for start in range(0, len(states), BLOCK):
            keys[start : start + BLOCK] = unit_vectors(states[start : start + BLOCK])
        return cls(keys, next_items, users, lookup)

    def __len__(self) -> int:
        return len(self.next_items)

    def searched(self, search: Search) -> "Datastore":
        """Return this datastore with another search, ready to answer; nothing but the search is built anew.

        Where the lists that the fast search reads would hold few more than it compares in full, the exact one takes
        its place.
        """
        other = copy.copy(self)
        other.__dict__.pop("_index", None)
        other.search = search if len(self) > REFINED * PROBED * self.lookup.shortlist else "exact"
        other._index  # noqa: B018  built here, not while the first user waits
        return other

    @cached_property
    def _index(self) -> Any:
        return build_index(self.keys, self.search)

    def retrieve(self, query: Query) -> Retrieved:
        """Return the items that other users took around the most similar prefixes.

        They come as all next items, most similar prefix first (ties go by entry), then all items after these, and
        so on, then those before; the age of an item is its distance from the end of the prefix.
        """
        queries = unit_vectors(query.states)  # [B, D]
        shape = len(queries), self.lookup.neighbours
        entries, similarities = np.full(shape, -1, np.int64), np.zeros(shape, np.float32)
        asking = np.flatnonzero(queries.any(1))  # nothing resembles an empty history
        with matrix_products(self.keys.shape[1]):
            _, found = self._index.search(queries[asking], self.lookup.shortlist + MARGIN)  # [b, S + M]
        for row, place in enumerate(asking):
            others, states = self._others(queries[place], found[row], int(query.users[place]))
            kept, likeness = self._ranked(query.histories[place], others, states)
            entries[place, : len(kept)], similarities[place, : len(kept)] = kept, likeness
        return self._retrieved(entries, similarities)

    def _others(
        self, query: NDArray[np.float32], found: NDArray[np.int64], user: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return as `_shortlist`, of a longer list where the user's own entries crowd the others out."""
        entries, states = self._shortlist(query, found, user, 0)
        if len(entries) >= self.lookup.neighbours:
            return entries, states
        own = int((self.users == user).sum())
        _, more = self._index.search(query[None], self.lookup.shortlist + own + MARGIN)
        return self._shortlist(query, more[0], user, own)

    def _shortlist(
        self, query: NDArray[np.float32], found: NDArray[np.int64], user: int, own: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return entries of others on a query's shortlist, and their similarities, both [S] at most, nearest first.

        The similarities are taken anew, each row by itself: FAISS rounds differently for batches of different sizes,
        which would decide who is last on the list.

        Args:
            query: [D].
            found: entries that FAISS found, a few more than the list is long; -1 where there are no more.
            user: whose own entries are dropped.
            own: entries by which the list is longer, to have enough where they are dropped.
        """
        found = found[found >= 0]
        # Torch is five times as fast as numpy where float16 becomes float32.
        keys = torch.from_numpy(self.keys.take(found, axis=0)).float().numpy()  # [S + M, D]
        states = np.einsum("sd,d->s", keys, query)  # [S + M]
        nearest = np.lexsort((found, -states))[: self.lookup.shortlist + own]
        nearest = nearest[self.users[found[nearest]] != user]
        return found[nearest], states[nearest]

    def _ranked(
        self, history: NDArray[np.int64], entries: NDArray[np.int64], states: NDArray[np.float32]
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Rank a shortlist [S] by states and histories; return the entries kept and their similarities, both [K]."""
        weight = self.lookup.overlap
        similarities = (1 - weight) * states + weight * self._overlap(history, entries)  # [S]
        order = np.lexsort((entries, -similarities))[: self.lookup.neighbours]
        return entries[order], similarities[order].astype(np.float32)

    def _retrieved(self, entries: NDArray[np.int64], similarities: NDArray[np.float32]) -> Retrieved:
        """Return the items around entries [B, K] (-1: none)."""
        count = len(self.lookup.ages)
        entries, similarities = np.tile(entries, count), np.tile(similarities, count)  # [B, A * K]
        ages = np.repeat(self.lookup.ages, self.lookup.neighbours)  # [A * K]
        around = np.clip(entries + ages, 0, len(self) - 1)  # [B, A * K]
        origins = self.users[entries]  # [B, A * K]
        there = (entries >= 0) & (entries + ages == around) & (self.users[around] == origins)
        items = np.where(there, self.next_items[around], NO_ITEM)
        return Retrieved(items, similarities, ages.astype(np.float32), origins)

    def write(self, folder: Path) -> None:
        """Write `keys.npy` (float16 [N, D]) and `entries.parquet` (next_item, user)."""
        with atomic_directory(folder) as temporary:
            np.save(temporary / "keys.npy", self.keys)
            entries = pl.DataFrame({"next_item": self.next_items, "user": self.users})
            entries.write_parquet(temporary / "entries.parquet", compression="zstd")

    @classmethod
    def open(cls, folder: Path, lookup: Lookup) -> "Datastore":
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
        return cls(keys, next_items, users, lookup)
