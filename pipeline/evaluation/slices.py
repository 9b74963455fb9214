"""Users in groups: by the length of their history, the popularity of their target, and whether it is in the history."""

import numpy as np
from numpy.typing import NDArray

GROUPS = {
    "history": ("short", "middle", "long"),
    "popularity": ("head", "middle", "tail"),
    "target": ("new", "repeated"),
}
"""The groups of each slice, in order."""


def history_groups(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the third of the users that each belongs to, by the length of his history: 0 short, 1 middle, 2 long.

    The limits are terciles of these users, so that they fit every data set. Users with equal lengths share a group, so
    the groups may differ in size.

    Args:
        lengths: [U], items in each history, uncut.

    Returns:
        int64 [U], places in `GROUPS["history"]`.
    """
    shorter = np.searchsorted(np.sort(lengths), lengths)  # [U], users with a shorter history
    return 3 * shorter // max(1, len(lengths))


def popularity_groups(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the third of the training interactions that each item belongs to: 0 head, 1 middle, 2 tail.

    From the most to the least frequent item (ties by row), head are the items that make up the first third of all
    training interactions, middle the items of the second, tail the rest; items without training are tail.

    Args:
        counts: int64 [n], training interactions of each item, at least 1 in all.

    Returns:
        int64 [n], places in `GROUPS["popularity"]`.
    """
    order = np.argsort(-counts, kind="stable")
    before = np.cumsum(counts[order]) - counts[order]  # [n], interactions of items that are more frequent
    groups = np.empty(len(counts), np.int64)
    groups[order] = np.minimum(3 * before // counts.sum(), 2)
    return groups
