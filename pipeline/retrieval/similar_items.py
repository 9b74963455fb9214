"""Source `items`: items whose text is similar to that of the latest items of the history."""

import numpy as np
from numpy.typing import NDArray

from .index import ItemIndex
from .sources import NO_ITEM, Query, Retrieved


class SimilarItems:
    """The nearest items, in the FAISS index of item vectors, of each recent item of a history.

    Args:
        index: the index.
        vectors: float32 [n, F], the vectors in it.
        neighbours: items retrieved per item of the history; an item is no neighbour of itself.
        recent: latest items of the history that are looked up.
    """

    def __init__(self, index: ItemIndex, vectors: NDArray[np.float32], neighbours: int, recent: int) -> None:
        self.recent = recent
        neighbours = min(neighbours, len(vectors) - 1)
        similarities, rows = index.search(vectors, neighbours + 1)  # [n, k + 1]
        similarities = np.where(rows == NO_ITEM, 0, similarities)  # an approximate index may find fewer
        # Drop the item itself; where an equal vector took its place, drop the last neighbour instead.
        own = rows == np.arange(len(vectors))[:, None]
        own[~own.any(1), -1] = True
        self._items = rows[~own].reshape(len(vectors), neighbours)
        self._similarities = similarities[~own].reshape(len(vectors), neighbours)

    def retrieve(self, query: Query) -> Retrieved:
        """Return `recent * neighbours` items per user, youngest matched item first."""
        count, width = self._items.shape[1], self.recent * self._items.shape[1]
        items = np.full((len(query.histories), width), NO_ITEM, np.int64)
        similarities = np.zeros((len(query.histories), width), np.float32)
        origins = np.full((len(query.histories), width), NO_ITEM, np.int64)
        for user, history in enumerate(query.histories):
            latest = history[-self.recent :][::-1]
            found = len(latest) * count
            items[user, :found] = self._items[latest].ravel()
            similarities[user, :found] = self._similarities[latest].ravel()
            origins[user, :found] = np.repeat(latest, count)
        ages = np.repeat(np.arange(self.recent, dtype=np.float32), count)  # [recent * k]
        return Retrieved(items, similarities, ages, origins)
