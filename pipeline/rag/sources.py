"""What retrieval hands to the fusion, and the one interface behind which its sources stand."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

NO_ITEM = -1
ANONYMOUS = -1


@dataclass(frozen=True)
class Query:
    """A batch of users who want something retrieved.

    Attributes:
        states: float32 [B, D], the users as the sequence model knows them.
        users: int64 [B], user rows, or `ANONYMOUS`.
        histories: B arrays of item rows, int64, oldest first.
    """

    states: NDArray[np.float32]
    users: NDArray[np.int64]
    histories: list[NDArray[np.int64]]


@dataclass(frozen=True)
class Retrieved:
    """Items with the evidence for them; an item may come several times, and K is the source's own.

    Attributes:
        items: int32 or int64 [B, K], item rows, or `NO_ITEM` where less was found.
        similarities: float32 [B, K], cosine similarity of what was matched.
        ages: float32 [K], distance in time of each place, for all users: how far back in the history the item lies
            that was matched, or how long after a remembered prefix the item came (before its end: negative).
        origins: int [B, K], what was matched: the row of the history's item, or of the user who had the prefix.
    """

    items: NDArray[np.integer]
    similarities: NDArray[np.float32]
    ages: NDArray[np.float32]
    origins: NDArray[np.integer]


class Source(Protocol):
    """A place from which items are retrieved for users."""

    def retrieve(self, query: Query) -> Retrieved:
        """Return the items found for each user of the batch."""
        ...
