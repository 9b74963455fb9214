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
        self.next_items = next_items
        self._highest = int(next_items.max(initial=0))
        first = np.flatnonzero(np.diff(users, prepend=-1))  # [U], each user's first entry
        owned = np.diff(first, append=len(users))  # [U]
        before = np.arange(len(users)) - np.repeat(first, owned)  # [N], entries of the user before this one
        self._counted = before.clip(max=WINDOW).astype(np.int8)  # [N], items of the prefix that count
        # A prefix of 0, 1, ..., W items, latest first, and its length as a vector.
        weights = RECENCY ** np.arange(WINDOW, dtype=np.float32)  # [W]
        self._weights = np.tri(WINDOW + 1, WINDOW, -1, np.float32) * weights  # [W + 1, W]
        self._norms = np.linalg.norm(self._weights, axis=1)  # [W + 1]

    def __call__(self, history: NDArray[np.int64], entries: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the overlap of a history (item rows, oldest first) with each entry, float32 [S], 0 to 1."""
        latest = history[::-1][:WINDOW]
        bag = np.zeros(max(self._highest, latest.max(initial=0)) + 1, np.float32)  # [n]
        np.add.at(bag, latest, self._weights[WINDOW, : len(latest)])
        counted = self._counted[entries]  # [S]
        places = entries[:, None] - 1 - np.arange(WINDOW)  # [S, W], the prefix backwards
        # Before a user's first entry the weight is 0, so it makes no difference what is read there.
        shared = bag.take(self.next_items.take(places, mode="clip"))  # [S, W]
        length = self._norms[counted] * np.linalg.norm(bag[np.unique(latest)])  # [S]
        weights = self._weights.take(counted, axis=0)  # [S, W]
        return (weights * shared).sum(1) / np.maximum(length, np.finfo(np.float32).tiny)
