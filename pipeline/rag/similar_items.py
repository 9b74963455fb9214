"""Source `items`: items whose text is similar to the latest items of the history."""

import numpy as np
from numpy.typing import NDArray

from ..model.sources import NO_ITEM, Query, Retrieved
from ..search.index import ItemIndex


class SimilarItems:
    """The nearest neighbours of each of the `recent` latest items of a history, cached per item.

    Neighbours are found in the index of item vectors, float32 [n, F]. An item is not its own neighbour.
    """

    def __init__(self, index: ItemIndex, vectors: NDArray[np.float32], neighbours: int, recent: int) -> None:
        self.recent = recent
        self._index, self._vectors = index, vectors
        shape = len(vectors), min(neighbours, len(vectors) - 1)  # [n, k]
        # `np.empty` takes memory only for rows that are written.
        self._items, self._similarities = np.empty(shape, np.int64), np.empty(shape, np.float32)
        self._known = np.zeros(len(vectors), np.bool_)  # [n]

    def retrieve(self, query: Query) -> Retrieved:
        """Return `recent * k` items per user; neighbours of the latest item come first."""
        count = self._items.shape[1]
        shape = len(query), self.recent * count
        items, origins = np.full(shape, NO_ITEM, np.int64), np.full(shape, NO_ITEM, np.int64)
        similarities = np.zeros(shape, np.float32)
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
        """Cache the neighbours of the items `rows`."""
        new = np.unique(rows[~self._known[rows]])  # [m]
        if not len(new):
            return
        similarities, found = self._index.search(self._vectors[new], self._items.shape[1] + 1)  # [m, k + 1]
        similarities = np.where(found == NO_ITEM, 0, similarities)  # an approximate index may find fewer
        own = found == new[:, None]
        own[~own.any(1), -1] = True  # an equal vector may displace the item itself: drop the last instead
        self._items[new] = found[~own].reshape(len(new), -1)
        self._similarities[new] = similarities[~own].reshape(len(new), -1)
        self._known[new] = True
