"""How much two histories overlap: the same items, lately."""

import numpy as np
from numpy.typing import NDArray

RECENCY = 0.9
"""Weight of an item against the one taken right after it."""
WINDOW = 25
"""Latest items of a history that count; the weight of one further back is below .08."""


class HistoryOverlap:
    """Compares a user's history with remembered prefixes: cosine of two bags of items, weighted by recency.

    The similarity of session-based nearest neighbours with recency weights (STAN, Garg et al. 2019,
    doi 10.1145/3331184.3331322). The first item of a user is nobody's next item, so it is not counted.

    Args:
        next_items: int [N], item rows; all entries of a user stand together, shortest prefix first.
        users: int [N], user rows.
    """

    def __init__(self, next_items: NDArray[np.integer], users: NDArray[np.integer]) -> None:
        self.next_items, self.users = next_items, users
        self._weights = RECENCY ** np.arange(WINDOW, dtype=np.float32)  # [W]

    def __call__(self, history: NDArray[np.int64], entries: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the overlap of a history (item rows, oldest first) with each entry, float32 [S], 0 to 1."""
        if not len(history):
            return np.zeros(len(entries), np.float32)
        latest = history[::-1][:WINDOW]
        items, place = np.unique(latest, return_inverse=True)  # both [I]
        bag = np.bincount(place, self._weights[: len(latest)]).astype(np.float32)  # [I]
        places = entries[:, None] - 1 - np.arange(WINDOW)  # [S, W], the prefix backwards
        before_first = places < 0
        places = places.clip(min=0)
        there = ~before_first & (self.users[places] == self.users[entries][:, None])  # [S, W]
        weights = np.where(there, self._weights, 0)  # [S, W]
        taken = self.next_items[places]  # [S, W]
        found = np.searchsorted(items, taken).clip(max=len(items) - 1)  # [S, W]
        shared = np.where(items[found] == taken, bag[found], 0)  # [S, W]
        length = np.linalg.norm(weights, axis=1) * np.linalg.norm(bag)  # [S]
        return (weights * shared).sum(1) / np.maximum(length, np.finfo(np.float32).tiny)
