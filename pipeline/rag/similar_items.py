"""Sources that read the history alone: items near its latest items, by text or co-occurrence, and its own items."""

from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import NDArray

from ..core.sequences import Sequences
from ..model.sources import NO_ITEM, Query, Retrieved
from ..search.index import ItemIndex

NEAR = 5  # distance in a history up to which two items occur together
BEFORE = 0.5  # weight of an item that was taken before the other item; an item that was taken after it has weight 1
RARE = 5
"""Added to an item's number of interactions, so that a single history does not decide what is near a rare item."""
LATEST = 128
"""Items of a history that `OwnHistory` retrieves, repeats included."""


class NearItems(ABC):
    """The nearest items of each of the `recent` latest items of a history, cached per item.

    At most `neighbours` items are near an item, never the item itself.
    """

    def __init__(self, item_count: int, neighbours: int, recent: int) -> None:
        self.recent = recent
        shape = item_count, min(neighbours, item_count - 1)  # [n, k]
        # `np.empty` takes memory only for rows that are written.
        self._items, self._similarities = np.empty(shape, np.int64), np.empty(shape, np.float32)
        self._known = np.zeros(item_count, np.bool_)  # [n]

    def retrieve(self, query: Query) -> Retrieved:
        """Return `recent * k` items per user; neighbours of the latest item come first."""
        count = self._items.shape[1]
        items, origins = np.full((2, len(query), self.recent * count), NO_ITEM, np.int64)
        similarities = np.zeros(items.shape, np.float32)
        recent = [history[-self.recent :][::-1] for history in query.histories]
        rows = np.unique(np.concatenate([*recent, np.empty(0, np.int64)]))
        if len(new := rows[~self._known[rows]]):
            self._items[new], self._similarities[new] = self._find(new, count)
            self._known[new] = True
        for user, latest in enumerate(recent):
            found = len(latest) * count
            items[user, :found] = self._items[latest].ravel()
            similarities[user, :found] = self._similarities[latest].ravel()
            origins[user, :found] = np.repeat(latest, count)
        ages = np.repeat(np.arange(self.recent, dtype=np.float32), count)  # [recent * k]
        return Retrieved(items, similarities, ages, origins)

    @abstractmethod
    def _find(self, rows: NDArray[np.int64], count: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return the nearest items of the items `rows` and their similarities, [m, count] each; `NO_ITEM` if fewer."""


class SimilarItems(NearItems):
    """Source `items`: items whose vector is similar, found in the index of item vectors, float32 [n, F]."""

    def __init__(self, index: ItemIndex, vectors: NDArray[np.float32], neighbours: int, recent: int) -> None:
        super().__init__(len(vectors), neighbours, recent)
        self._index, self._vectors = index, vectors

    def _find(self, rows: NDArray[np.int64], count: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        similarities, found = self._index.search(self._vectors[rows], count + 1)  # [m, k + 1]
        similarities = np.where(found == NO_ITEM, 0, similarities)  # an approximate index may find fewer
        own = found == rows[:, None]
        own[~own.any(1), -1] = True  # an equal vector may displace the item itself: drop the last instead
        found = found[~own].reshape(len(rows), -1)  # [m, k]
        similarities = similarities[~own].reshape(len(rows), -1)  # [m, k]
        # An item without text has a vector of zeros; a similarity of zero or less is no reason to recommend.
        return np.where(similarities > 0, found, NO_ITEM), similarities


class CoOccurringItems(NearItems):
    """Source `co_occurring`: items that occur near the item in training histories.

    Each place of a near item adds 1 / distance to its strength, up to the distance `NEAR`; a place before the item adds
    `BEFORE` / distance. The sum is divided by the root of the product of both items' interactions, each plus `RARE`
    (the cosine of item-based collaborative filtering, Sarwar et al. 2001, doi 10.1145/371920.372071). The similarity is
    a fifth of the strength's logarithm: divided by a temperature and exponentiated, it is a power of the strength.
    """

    def __init__(self, sequences: Sequences, item_count: int, neighbours: int, recent: int) -> None:
        super().__init__(item_count, neighbours, recent)
        items, owners = (values.astype(np.int32) for values in sequences.training())  # [N] each
        # Both ends belong to nobody, so that no step from a place leads out of the array.
        self._sequence = np.pad(items, NEAR)  # [N + 2 NEAR]
        self._owners = np.pad(owners, NEAR, constant_values=-1)  # [N + 2 NEAR]
        self._counts = np.bincount(items, minlength=item_count)  # [n]
        # The places of item 0, then those of item 1, …
        self._places = NEAR + np.argsort(items, kind="stable")  # [N]
        self._ends = np.cumsum(self._counts)  # [n]
        distance = np.arange(1, NEAR + 1)
        self._steps = np.concatenate([distance, -distance])  # [2 NEAR]
        self._weights = np.concatenate([1 / distance, BEFORE / distance])  # [2 NEAR]

    def _find(self, rows: NDArray[np.int64], count: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        items, similarities = np.full((len(rows), count), NO_ITEM, np.int64), np.zeros((len(rows), count), np.float32)
        for place, row in enumerate(rows):
            near, strengths = self._near(row)
            best = np.argsort(-strengths, kind="stable")[:count]
            items[place, : len(best)] = near[best]
            similarities[place, : len(best)] = np.log(strengths[best]) / 5
        return items, similarities

    def _near(self, item: np.int64) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return the items near an item, ascending, and their strengths."""
        places = self._places[self._ends[item] - self._counts[item] : self._ends[item], None]  # [P, 1]
        around = places + self._steps  # [P, 2 NEAR]
        weights = (self._owners[around] == self._owners[places]) * self._weights  # [P, 2 NEAR]
        items = self._sequence[around].ravel()  # [P * 2 NEAR]
        if len(items) < len(self._counts) / 16:  # sorting a few is faster than a sum for every item there is
            distinct, which = np.unique(items, return_inverse=True)
        else:
            distinct, which = np.arange(len(self._counts)), items
        sums = np.bincount(which, weights.ravel(), len(distinct))
        kept = (sums > 0) & (distinct != item)
        near = distinct[kept].astype(np.int64)
        return near, sums[kept] / np.sqrt((self._counts[item] + RARE) * (self._counts[near] + RARE))


class OwnHistory:
    """Source `history`, in data in which users take items again: the latest items of the user's own history.

    An item that was taken several times occurs several times.
    """

    def retrieve(self, query: Query) -> Retrieved:
        """Return the latest items, the last one first.

        The similarity is the share of the history that was a repeat when it was taken. It is the same for all items of
        a user, so it does not order them; the fusion's gate reads how often this user takes items again.
        """
        shape = len(query), LATEST
        items, similarities = np.full(shape, NO_ITEM, np.int64), np.zeros(shape, np.float32)
        for user, history in enumerate(query.histories):
            latest = history[-LATEST:][::-1]
            items[user, : len(latest)] = latest
            similarities[user, : len(latest)] = 1 - len(np.unique(history)) / max(1, len(history))
        return Retrieved(items, similarities, np.arange(LATEST, dtype=np.float32), items)
