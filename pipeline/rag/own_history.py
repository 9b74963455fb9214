"""Source `history`: the items that the user took before, where items are taken again."""

import numpy as np
from numpy.typing import NDArray

from ..model.sources import NO_ITEM, Query, Retrieved

LATEST = 128  # items of a history that are retrieved, repeats included


class OwnHistory:
    """The latest items of the user's own history. An item that was taken several times occurs several times."""

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
            similarities[user, : len(latest)] = _repeats(history)
        return Retrieved(items, similarities, np.arange(LATEST, dtype=np.float32), items)


def _repeats(history: NDArray[np.int64]) -> float:
    return 1 - len(np.unique(history)) / max(1, len(history))
