"""Source `items`: items whose text is similar to that of the latest items of the history."""

import numpy as np
from numpy.typing import NDArray

from ..model.sources import NO_ITEM, Query, Retrieved
from ..search.index import ItemIndex


class SimilarItems:
    """The nearest items, in the FAISS index of item vectors, of each recent item of a history.

    An item is looked up when a history first names it, and its neighbours are kept.

    Args:
        index: the index.
        vectors: float32 [n, F], the vectors in it.
        neighbours: items retrieved per item of the history; an item is no neighbour of itself.
        recent: latest items of the history that are looked up.
    """

    def __init__(self, index: ItemIndex, vectors: NDArray[np.float32], neighbours: int, recent: int) -> None:
        self.recent = recent
        self._index, self._vectors = index, vectors
        shape = len(vectors), min(neighbours, len(vectors) - 1)  # [n, k]
        # Memory of `np.empty` is taken row by row, when a row is first written.
        self._items, self._similarities = np.empty(shape, np.int64), np.empty(shape, np.float32)
        self._known = np.zeros(len(vectors), np.bool_)  # [n]

    def retrieve(self, query: Query) -> Retrieved:
        """Return `recent * neighbours` items per user, youngest matched item first."""
        count, width = self._items.shape[1], self.recent * self._items.shape[1]
        items = np.full((len(query.histories), width), NO_ITEM, np.int64)
        similarities = np.zeros((len(query.histories), width), np.float32)
        origins = np.full((len(query.histories), width), NO_ITEM, np.int64)
        recent = [history[-self.recent :][::-1] for history in query.histories]
        self._look_up(np.concatenate(recent) if recent else np.empty(0, np.int64))
        for user, latest in enumerate(recent):
            found = len(latest) * count
            items[user, :found] = self._items[latest].ravel()
            similarities[user, :found] = self._similarities[latest].ravel()
            origins[user, :found] = np.repeat(latest, count)
        ages = np.repeat(np.arange(self.recent, dtype=np.float32), count)  # [recent * k]
        return Retrieved(items, similarities, ages, origins)

    def _look_up(self, rows: NDArray[np.int64]) -> None:
        """Find the neighbours of the items `rows` that are not known yet."""
        new = np.unique(rows[~self._known[rows]])  # [m]
        if not len(new):
            return
        similarities, found = self._index.search(self._vectors[new], self._items.shape[1] + 1)  # [m, k + 1]
        similarities = np.where(found == NO_ITEM, 0, similarities)  # an approximate index may find fewer
        # Drop the item itself; where an equal vector took its place, drop the last neighbour instead.
        own = found == new[:, None]
        own[~own.any(1), -1] = True
        self._items[new] = found[~own].reshape(len(new), -1)
        self._similarities[new] = similarities[~own].reshape(len(new), -1)
        self._known[new] = True
