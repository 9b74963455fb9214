"""The interface of retrieval: a source retrieves items for a query; a fusion mixes them with the model's scores."""

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
        states: float32 [B, D], user states of the sequence model.
        users: int64 [B], user rows, or `ANONYMOUS`.
        histories: B arrays of item rows, int64, oldest first.
    """

    states: NDArray[np.float32]
    users: NDArray[np.int64]
    histories: list[NDArray[np.int64]]

    def __len__(self) -> int:
        return len(self.histories)

    def take(self, rows: NDArray[np.int64]) -> "Query":
        """Return the users at these rows of the batch."""
        return Query(self.states[rows], self.users[rows], [self.histories[row] for row in rows])


@dataclass(frozen=True)
class Retrieved:
    """The items that a source retrieved for a batch, K per user; an item may occur several times.

    Attributes:
        items: int32 or int64 [B, K], item rows; `NO_ITEM` fills up where fewer were found.
        similarities: float32 [B, K], similarity of the match, at most 1.
        ages: float32 [K], distance in time per column: how far back in the history the matched item lies, or how long
            after the end of the matched prefix the item came (negative: before the end).
        origins: int [B, K], the match: the history's item row, or the user row of the matched prefix; [B, 0] where
            dropped.
    """

    items: NDArray[np.integer]
    similarities: NDArray[np.float32]
    ages: NDArray[np.float32]
    origins: NDArray[np.integer]

    def take(self, rows: NDArray[np.int64]) -> "Retrieved":
        """Return the items of the users at these rows of the batch, without origins."""
        similarities, origins = self.similarities[rows], _no_origins(len(rows))
        return replace(self, items=self.items[rows], similarities=similarities, origins=origins)

    @staticmethod
    def joined(parts: Sequence["Retrieved"]) -> "Retrieved":
        """Concatenate batches; drop origins and store int32 rows, which halves the memory."""
        items = np.concatenate([part.items.astype(np.int32) for part in parts])
        similarities = np.concatenate([part.similarities for part in parts])
        return Retrieved(items, similarities, parts[0].ages, _no_origins(len(items)))


def _no_origins(count: int) -> NDArray[np.int32]:
    return np.empty((count, 0), np.int32)


class Source(Protocol):
    """Retrieves items for users."""

    def retrieve(self, query: Query) -> Retrieved:
        """Return the items retrieved for each user of the batch."""
        ...


@dataclass(frozen=True)
class Mixture:
    """The parts of a fusion of the model with S sources.

    Attributes:
        shares: [B, S + 1], weight of the model and of each source; rows sum to 1.
        distributions: [B, S + 1, n], of the model and of each source.
        weights: per source [B, K], weight of each retrieved item in the source's distribution.
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
            retrieved: one per source.
        """
        ...

    def combine(self, model_scores: Tensor, mixture: Mixture) -> Tensor:
        """Return log-probabilities [B, n]; -inf where the model's score is -inf."""
        ...
