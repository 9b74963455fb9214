"""Baselines: recommenders that count instead of training. A model that does not beat them is not worth its training.

Each reads the training items only, as the models do. Items that a baseline cannot score rank by popularity, below the
scored items.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array
from torch import Tensor

from ..core.sequences import Sequences
from ..ranking.evaluator import HistoryScorer

# Of `Neighbours`:
RECENT, FADING = 50, 0.9  # latest items of a history by which users are compared, and their weight per step back
NEIGHBOURS = 500  # most similar users that count
REACH, FALL = 12, 3  # items of a neighbour that count after the last shared one; steps in which weights fall to 1/e


def baselines(sequences: Sequences, item_count: int) -> dict[str, HistoryScorer]:
    """Return the baselines by name; `last_taken` only where users take items again."""
    kinds: dict[str, type[Popularity]] = {"popularity": Popularity, "markov": Markov, "neighbours": Neighbours}
    if sequences.repeated:
        kinds["last_taken"] = LastTaken
    return {name: kind(sequences, item_count) for name, kind in kinds.items()}


class Popularity:
    """Ranks the items by their number of training interactions, the same for everybody; there are `item_count`, n."""

    def __init__(self, sequences: Sequences, item_count: int) -> None:
        self._counts = sequences.training_counts(item_count)  # [n]
        _, levels = np.unique(self._counts, return_inverse=True)
        # Whole numbers below 0: float32 holds them exactly, and the scores of other baselines are positive.
        self._scores = (levels - levels.max() - 1).astype(np.float32)  # [n]

    def score_histories(self, histories: list[NDArray[np.int64]], users: NDArray[np.int64]) -> Tensor:
        """Return scores after the histories of the users, float32 [B, n]; scores by popularity are below 0."""
        scores = np.tile(self._scores, (len(histories), 1))  # [B, n]
        for row, history, user in zip(scores, histories, users, strict=True):
            if len(history):
                self._score(row, history, user)
        return torch.from_numpy(scores)

    def _score(self, scores: NDArray[np.float32], history: NDArray[np.int64], user: np.int64) -> None:
        """Overwrite scores by popularity, [n], with scores above 0 for the items that this baseline can score."""


class Markov(Popularity):
    """Ranks the items by how often they directly followed the last item of the history; ties by popularity."""

    def __init__(self, sequences: Sequences, item_count: int) -> None:
        super().__init__(sequences, item_count)
        items, owners = sequences.training()
        same = owners[1:] == owners[:-1]  # [N - 1]
        pairs = items[:-1][same], items[1:][same]
        self._followers = csr_array((np.ones(len(pairs[0]), np.int64), pairs), (item_count, item_count))
        # One number for each pair, which ranks by count, then by popularity of the second item.
        counts, popularity = self._followers.data, self._counts
        both = counts * (popularity.max() + 1) + popularity[self._followers.indices]
        self._followers.data = np.unique(both, return_inverse=True)[1] + 1

    def _score(self, scores: NDArray[np.float32], history: NDArray[np.int64], user: np.int64) -> None:
        last = history[-1]
        followers = slice(*self._followers.indptr[last : last + 2])
        scores[self._followers.indices[followers]] = self._followers.data[followers]


class Neighbours(Popularity):
    """Ranks the items by what similar users took next: nearest neighbours of sequences, after STAN.

    Users are similar if they share some of the latest items of the history; later and rarer items weigh more. Each
    neighbour scores the items right after its last shared item; nearer items score higher (Garg et al. 2019, doi
    10.1145/3331184.3331322; their method ignores rarity, and also scores items before the shared item). The user
    itself is excluded.
    """

    def __init__(self, sequences: Sequences, item_count: int) -> None:
        super().__init__(sequences, item_count)
        self._items, self._owners = sequences.training()  # int64 [N], twice
        self._ends = np.cumsum(sequences.train_length)  # [U], end of each user's items
        # The places of item 0, then those of item 1, …
        self._places = np.argsort(self._items, kind="stable")  # [N]
        self._starts = np.cumsum(self._counts) - self._counts  # [n], where an item's places begin
        self._rarity = np.log1p(sequences.user_count / np.maximum(self._counts, 1))  # [n]
        self._lengths = np.sqrt(np.maximum(sequences.train_length, 1))  # [U]

    def _score(self, scores: NDArray[np.float32], history: NDArray[np.int64], user: np.int64) -> None:
        recent = history[-RECENT:]  # [T]
        counts = self._counts[recent]  # [T], how many users have each
        within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)  # [P]
        places = self._places[np.repeat(self._starts[recent], counts) + within]  # [P]
        owners = self._owners[places]  # [P]
        weights = self._rarity[recent] * FADING ** np.arange(len(recent))[::-1]  # [T]
        similarity = np.bincount(owners, np.repeat(weights, counts), len(self._ends)) / self._lengths  # [U]
        similarity[user] = 0
        shared = np.zeros(len(self._ends), np.int64)  # [U]
        shared[owners] = places  # of several, the last one stays: the user's latest item
        near = np.flatnonzero(similarity)  # [K]
        if len(near) > NEIGHBOURS:  # with all that tie with the last one, so that no order decides
            near = near[similarity[near] >= np.partition(similarity[near], -NEIGHBOURS)[-NEIGHBOURS]]
        steps = np.arange(1, REACH + 1)
        after = shared[near, None] + steps  # [K, REACH]
        exists = after < self._ends[near, None]  # [K, REACH]
        shares = similarity[near, None] * np.exp(-steps / FALL)  # [K, REACH]
        found = np.bincount(self._items[after[exists]], shares[exists], len(scores))  # [n]
        np.copyto(scores, found, where=found > 0, casting="same_kind")


class LastTaken(Popularity):
    """Ranks the items of the history by how recently the user took them."""

    def _score(self, scores: NDArray[np.float32], history: NDArray[np.int64], user: np.int64) -> None:
        scores[history] = np.arange(1, len(history) + 1)  # of an item's places, the last one stays
