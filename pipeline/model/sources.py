"""The interface of retrieval: a source answers a query with items, and a fusion weighs them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

NO_ITEM = -1
ANONYMOUS = -1


@dataclass(frozen=True)
class Query:
    """A batch of users.

    Attributes:
        states: float32 [B, D], the sequence model's states.
        users: int64 [B], user rows, or `ANONYMOUS`.
        histories: B arrays of item rows, int64, oldest first.
    """

    states: NDArray[np.float32]
    users: NDArray[np.int64]
    histories: list[NDArray[np.int64]]

    def __len__(self) -> int:
        return len(self.histories)

    def take(self, rows: NDArray[np.int64]) -> "Query":
        """Return some of the users."""
        return Query(self.states[rows], self.users[rows], [self.histories[row] for row in rows])


@dataclass(frozen=True)
class Retrieved:
    """The items that a source found for a batch; an item may come several times, and K is the source's own.

    Attributes:
        items: int32 or int64 [B, K], item rows, or `NO_ITEM` where less was found.
        similarities: float32 [B, K], cosine similarity of the match.
        ages: float32 [K], distance in time of each place, for all users: how far back in the history the matched item
            lies, or how long after a remembered prefix the item came (before its end: negative).
        origins: int [B, K], the match: the row of the history's item, or of the user who had the prefix; [B, 0] where
            nobody asks for it.
    """

    items: NDArray[np.integer]
    similarities: NDArray[np.float32]
    ages: NDArray[np.float32]
    origins: NDArray[np.integer]

    def take(self, rows: NDArray[np.int64]) -> "Retrieved":
        """Return the items of some of the users, without their origins."""
        return replace(
            self, items=self.items[rows], similarities=self.similarities[rows], origins=_no_origins(len(rows))
        )

    @staticmethod
    def joined(parts: Sequence["Retrieved"]) -> "Retrieved":
        """Return batches one below the other, without origins and with int32 rows: half the memory."""
        items = np.concatenate([part.items.astype(np.int32) for part in parts])
        similarities = np.concatenate([part.similarities for part in parts])
        return Retrieved(items, similarities, parts[0].ages, _no_origins(len(items)))


def _no_origins(count: int) -> NDArray[np.int32]:
    return np.empty((count, 0), np.int32)


class Source(Protocol):
    """A place from which items are retrieved for users."""

    def retrieve(self, query: Query) -> Retrieved:
        """Return the items found for each user of the batch."""
        ...


@dataclass(frozen=True)
class Mixture:
    """The parts of a fusion.

    Attributes:
        shares: [B, S + 1], weight of the model and of each source; rows sum to 1.
        distributions: [B, S + 1, n], of the model and of each source.
        weights: per source [B, K], the weight of each retrieved item in its distribution.
    """

    shares: Tensor
    distributions: Tensor
    weights: list[Tensor]


class Fuses(Protocol):
    """A fusion of the model with S sources."""

    def mix(self, model_scores: Tensor, lengths: Tensor, retrieved: Sequence[Retrieved]) -> Mixture:
        """Return the parts of the mixture.

        Args:
            model_scores: [B, n], -inf where an item may not be recommended.
            lengths: int64 [B], items in each history.
            retrieved: of each source.
        """
        ...

    def combine(self, model_scores: Tensor, mixture: Mixture) -> Tensor:
        """Return log-probabilities [B, n]; -inf where the model's score is."""
        ...
