"""The interface of retrieval: a source retrieves items for a query; a fusion mixes them with the model's scores."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

NO_ITEM = -1
ANONYMOUS = -1


@dataclass(frozen=True)
class Query:
    """A batch of users."""

    states: NDArray[np.float32]  # [B, D], user states of the sequence model
    users: NDArray[np.int64]  # [B], user rows, or `ANONYMOUS`
    histories: list[NDArray[np.int64]]  # B arrays of item rows, oldest first

    def __len__(self) -> int:
        return len(self.histories)

    def lengths(self) -> Tensor:
        """Return the number of items in each history, int64 [B]."""
        return torch.tensor([len(history) for history in self.histories], dtype=torch.int64)

    def take(self, rows: NDArray[np.int64]) -> "Query":
        """Return the users at these rows of the batch."""
        return Query(self.states[rows], self.users[rows], [self.histories[row] for row in rows])


@dataclass(frozen=True)
class Retrieved:
    """The items that a source retrieved for a batch, K per user; an item may occur several times.

    A match and its age depend on the source:
        `items`, `co_occurring`, `history`: an item of the history; its distance from the latest item.
        `next_items`: another user's prefix; the item's offset from the prefix's next item (negative: before it).
        `trending`: the retrieved item itself; the number of the window.
    """

    items: NDArray[np.integer]  # int32 or int64 [B, K], item rows; `NO_ITEM` where fewer were found
    similarities: NDArray[np.float32]  # [B, K], of the match, about 1 at most
    ages: NDArray[np.float32]  # [K], per column
    origins: NDArray[np.integer]  # [B, K], the match's item row or user row; [B, 0] where dropped

    def take(self, rows: NDArray[np.int64]) -> "Retrieved":
        """Return the items of the users at these rows of the batch."""
        return Retrieved(self.items[rows], self.similarities[rows], self.ages, self.origins[rows])

    @staticmethod
    def joined(parts: Sequence["Retrieved"]) -> "Retrieved":
        """Concatenate batches; drop origins and store int32 rows, which halves the memory."""
        items = np.concatenate([part.items.astype(np.int32) for part in parts])
        similarities = np.concatenate([part.similarities for part in parts])
        return Retrieved(items, similarities, parts[0].ages, np.empty((len(items), 0), np.int32))


class Source(Protocol):
    """Retrieves items for users."""

    def retrieve(self, query: Query) -> Retrieved:
        """Return the items retrieved for each user of the batch."""
        ...


@dataclass(frozen=True)
class Mixture:
    """A fusion of the model with S sources; the model comes first."""

    scores: Tensor  # [B, n], log-probabilities; -inf where the model's score is -inf
    shares: Tensor  # [B, S + 1], weights of model and sources; rows sum to 1
    model: Tensor  # [B, n], log-probabilities of the model alone
    weights: list[Tensor]  # per source [B, K], of each retrieved item in the source's distribution
