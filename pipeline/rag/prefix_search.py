"""The overlap of histories with a datastore's prefixes."""

import numpy as np
from numpy.typing import NDArray

RECENCY = 0.9  # weight of an item in a history relative to the item right after it
WINDOW = 25  # number of latest items that count; the weight of older ones is below .08


def earlier_entries(users: NDArray[np.integer]) -> NDArray[np.int64]:
    """Return how many entries of the same user stand before each entry, int64 [N]; a user's entries are adjacent."""
    first = np.flatnonzero(np.diff(users, prepend=-1))  # [U]
    return np.arange(len(users)) - np.repeat(first, np.diff(first, append=len(users)))


class HistoryOverlap:
    """Cosine similarity of two bags of items, weighted by recency.

    As in session-based nearest neighbours (STAN, Garg et al. 2019, doi 10.1145/3331184.3331322). A user's first item
    is no entry's next item, so it does not count.

    Args:
        next_items: int [N], item rows of a datastore's entries.
        users: int [N], their user rows.
    """

    def __init__(self, next_items: NDArray[np.integer], users: NDArray[np.integer]) -> None:
        before = np.pad(next_items, (WINDOW, 0))  # [W + N]
        # Row e: the next items of the entries before entry e, latest first; items of another user weigh 0.
        self._before = np.lib.stride_tricks.sliding_window_view(before, WINDOW)[:, ::-1]  # [N + 1, W]
        self._highest = int(next_items.max(initial=0))
        pairs = users.astype(np.int64) * (self._highest + 1) + next_items  # [N]
        pairs.sort()
        repeated = (pairs[1:] == pairs[:-1]).any()  # a user has an item twice
        counted = earlier_entries(users).clip(max=WINDOW).astype(np.int8)
        self._counted = counted  # [N], prefix items that count
        weights = RECENCY ** np.arange(WINDOW, dtype=np.float32)  # [W]
        # Row c: the weights of a prefix of c items, latest first.
        self._weights = np.tri(WINDOW + 1, WINDOW, -1, np.float32) * weights  # [W + 1, W]
        norms = np.linalg.norm(self._weights, axis=1)  # [W + 1]
        # [N], of each prefix; with repeats, NaN until the prefix is first compared.
        self._norms = np.full(len(counted), np.nan, np.float32) if repeated else norms[counted]

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
