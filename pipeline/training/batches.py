"""Training batches: windows of user histories, in which every prefix is an example of one causal pass."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ..data.sequences import Sequences, pad_histories

# Batches per pool: windows are shuffled, then sorted by length within a pool, so that a batch has little padding.
POOL = 16


@dataclass(frozen=True)
class Batch:
    """A batch of windows, padded on the right."""

    rows: NDArray[np.int64]  # [B, T], item rows that the model reads
    targets: NDArray[np.int64]  # [B, T], the next item at each position
    mask: NDArray[np.bool_]  # [B, T], whether there is a target


def training_windows(
    sequences: Sequences, history: int, generator: np.random.Generator
) -> list[NDArray[np.int64]]:
    """Cut every user's training items into windows of at most `history + 1` items (`history` targets).

    Adjacent windows share one item, so every training item except a user's first is a target exactly once. Users with
    several windows are cut at a random phase: over the epochs, a target gets histories of different lengths.
    """
    windows = []
    for user in range(sequences.user_count):
        items = sequences.training_items(user)
        targets = len(items) - 1
        if targets < 1:
            continue
        phase = int(generator.integers(1, history + 1)) if targets > history else history
        cuts = [0, *range(phase, targets, history), targets]
        windows += [items[start : stop + 1] for start, stop in pairwise(cuts)]
    return windows


def training_batches(
    sequences: Sequences, history: int, batch_windows: int, generator: np.random.Generator
) -> Iterator[Batch]:
    """Yield the batches of one epoch in random order."""
    windows = training_windows(sequences, history, generator)
    order = generator.permutation(len(windows))
    groups = []
    for start in range(0, len(order), POOL * batch_windows):
        pool = order[start : start + POOL * batch_windows]
        pool = pool[np.argsort([len(windows[index]) for index in pool], kind="stable")]
        groups += [pool[first : first + batch_windows] for first in range(0, len(pool), batch_windows)]
    for group in generator.permutation(len(groups)):
        yield _batch([windows[index] for index in groups[group]])


def batch_count(sequences: Sequences, history: int, batch_windows: int) -> int:
    """Estimate the batches per epoch; random phases change the number by a few."""
    targets = np.maximum(sequences.train_length - 1, 0)
    return max(1, int(np.ceil((np.ceil(targets / history)).sum() / batch_windows)))


def _batch(windows: list[NDArray[np.int64]]) -> Batch:
    rows, lengths = pad_histories([window[:-1] for window in windows], limit=len(max(windows, key=len)))
    targets, _ = pad_histories([window[1:] for window in windows], limit=rows.shape[1])
    return Batch(rows, targets, mask=np.arange(rows.shape[1]) < lengths[:, None])
