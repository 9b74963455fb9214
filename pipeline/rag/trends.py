"""Source `trending`: items that many users took just before the user's latest item."""

import math
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.errors import DataError
from ..core.sequences import Sequences
from ..model.sources import NO_ITEM, Query, Retrieved
from .nearest_keys import largest

WINDOWS = (0.25, 1, 4)  # interactions that are counted, in multiples of the number of items
PER_WINDOW = 100  # items of a window that are retrieved, at most
LATEST = (1, 4, 16)  # interactions of an item whose ages are evidence: the latest one, the fourth latest, …
FEATURES = len(LATEST) + 1  # values of evidence for an item: these ages and the number of interactions
STEPS = 64
"""Steps in which the end of a window moves over as many interactions as items, so that queries share lists."""
SCALE = 10  # a similarity is log(1 + an item's interactions in the window) / SCALE


def taken(similarity: float) -> float:
    """Return the number of interactions that gives a similarity."""
    return math.expm1(SCALE * similarity)


class Trends:
    """The training interactions of all users in the order of time, read up to the time of a query.

    A query has the time of the user's latest item: only interactions strictly before it count. The target's time is
    never read. A query comes after all training interactions if all targets do (`Sequences.one_cut`), and for unknown
    users. A history counts as the user's first items. Time is counted in interactions, so its unit does not matter.
    Of the sequences, which need clocks (else ``DataError``), only the training items are counted.

    Recent popularity predicts better than popularity since the start (Ji et al. 2020, arXiv 2005.13829).
    """

    def __init__(self, sequences: Sequences, item_count: int) -> None:
        if not sequences.has_clock:
            what = "source trending needs timestamps that are comparable between users, and the data has none"
            raise DataError(what, "times/clock.parquet", "run `dvc repro`, or `dvc pull`")
        kept = sequences.in_training()
        items, clocks = sequences.items[kept].astype(np.int32), sequences.clock[kept]  # [N] each
        order = np.argsort(clocks, kind="stable")  # [N]
        self._sequences, self._item_count = sequences, item_count
        self._log, self._clocks = items[order], clocks[order]  # [N] each
        self._span = np.int64(len(items) + 1)
        # The places of item 0 in the log, then those of item 1, …; a place is below the span.
        self._places = np.sort(self._log * self._span + np.arange(len(items)))  # [N]
        self._top = lru_cache(4096)(self._find)

    def __deepcopy__(self, _: dict[int, Any]) -> "Trends":
        """Return this object, which does not change: a fusion's copy shares it."""
        return self

    def before(self, query: Query) -> NDArray[np.int64]:
        """Return how many interactions of the log come before each query, int64 [B]."""
        data, every = self._sequences, len(self._log)
        lengths = query.lengths().numpy()  # [B]
        known = (query.users >= 0) & (lengths > 0) & (not data.one_cut)  # [B]
        latest = data.offsets[query.users] + lengths - 1  # [B]
        known &= latest < data.offsets[query.users + 1]
        clocks = data.clock[np.where(known, latest, 0)]  # [B]
        return np.where(known, np.searchsorted(self._clocks, clocks), every)

    def retrieve(self, query: Query) -> Retrieved:
        """Return the most taken items of each window, the shortest window first; its number is the age.

        A window ends at the query, or up to a 64th of a catalogue's length before it. Divided by a temperature and
        exponentiated, a similarity is a power of 1 + the item's interactions.
        """
        before, step = self.before(query), max(1, self._item_count // STEPS)
        ends = np.where(before < len(self._log), before // step * step, before)  # [B]
        shape = len(query), len(WINDOWS) * PER_WINDOW
        items, similarities = np.empty(shape, np.int64), np.empty(shape, np.float32)
        for user, end in enumerate(ends.tolist()):
            items[user], similarities[user] = self._top(end)
        ages = np.repeat(np.arange(len(WINDOWS), dtype=np.float32), PER_WINDOW)
        return Retrieved(items, similarities, ages, items)

    def _find(self, before: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return the items and similarities of one query, [windows * PER_WINDOW] each; ties go to the lower item."""
        items = np.full((len(WINDOWS), PER_WINDOW), NO_ITEM, np.int64)
        similarities = np.zeros(items.shape, np.float32)
        for window, share in enumerate(WINDOWS):
            size = max(1, round(share * self._item_count))
            counts = np.bincount(self._log[max(0, before - size) : before])
            rows = np.flatnonzero(counts)
            best = rows[largest(counts[rows], PER_WINDOW)]
            items[window, : len(best)] = best
            similarities[window, : len(best)] = np.log1p(counts[best]) / SCALE
        return items.ravel(), similarities.ravel()

    def evidence(self, before: NDArray[np.int64], items: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return how recently and how often item rows [P] were taken `before` [P] queries, in units of about 1.

        float32 [FEATURES, P]: the logarithm of the age of each interaction in `LATEST` (a missing one counts as n
        interactions before the first), and the logarithm of the number of earlier interactions.
        """
        first = items * self._span  # [P]
        start = np.searchsorted(self._places, first)  # [P]
        stop = np.searchsorted(self._places, first + before)  # [P]
        features = np.empty((FEATURES, len(items)), np.float32)
        for feature, latest in zip(features, LATEST, strict=False):
            at = np.maximum(stop - latest, 0)  # [P]
            place = np.where(stop - latest >= start, self._places.take(at) - first, -self._item_count)  # [P]
            feature[:] = np.log1p(4 / self._item_count * (before - place)) / 2
        features[-1] = np.log1p(stop - start) / 3
        return features
