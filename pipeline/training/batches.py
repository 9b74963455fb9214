"""Training batches: windows of user histories, in which every prefix is an example of one causal pass."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ..core.errors import DataError
from ..data.sequences import NO_GAP, Sequences, pad_histories

# Batches per pool: windows are shuffled, then sorted by length within a pool, so that a batch has little padding.
POOL = 16

FORGOTTEN = 0.1
"""Share of windows whose gaps are unknown, so that the model learns to read histories without times."""


@dataclass(frozen=True)
class Batch:
    """A batch of windows, padded on the right."""

    rows: NDArray[np.int64]  # [B, T], item rows that the model reads
    targets: NDArray[np.int64]  # [B, T], the next item at each position
    mask: NDArray[np.bool_]  # [B, T], whether there is a target
    gaps: NDArray[np.int64] | None = None  # [B, T], of the items that the model reads, if it reads them


def training_windows(sequences: Sequences, history: int, generator: np.random.Generator) -> list[slice]:
    """Cut every user's training items into windows of at most `history + 1` items (`history` targets).

    Adjacent windows share one item, so every training item except a user's first is a target exactly once. Users with
    several windows are cut at a random phase: over the epochs, a target gets histories of different lengths.

    Returns:
        the windows' places in `sequences.items`.
    """
    windows = []
    for user in range(sequences.user_count):
        first, targets = int(sequences.offsets[user]), int(sequences.train_length[user]) - 1
        if targets < 1:
            continue
        phase = int(generator.integers(1, history + 1)) if targets > history else history
        cuts = [0, *range(phase, targets, history), targets]
        windows += [slice(first + start, first + stop + 1) for start, stop in pairwise(cuts)]
    return windows


def training_batches(
    sequences: Sequences,
    history: int,
    batch_windows: int,
    generator: np.random.Generator,
    timed: bool = False,
) -> Iterator[Batch]:
    """Yield the batches of one epoch in random order; `timed`: with gaps.

    Raises:
        DataError: the sequences have no gaps.
    """
    if timed and not len(sequences.gaps):
        raise DataError("there are no gaps to learn from", "times/gaps.parquet", "run `dvc repro ingest`")
    windows = training_windows(sequences, history, generator)
    order = generator.permutation(len(windows))
    groups = []
    for start in range(0, len(order), POOL * batch_windows):
        pool = order[start : start + POOL * batch_windows]
        pool = pool[np.argsort([windows[index].stop - windows[index].start for index in pool], kind="stable")]
        groups += [pool[first : first + batch_windows] for first in range(0, len(pool), batch_windows)]
    for group in generator.permutation(len(groups)):
        yield _batch(sequences, [windows[index] for index in groups[group]], generator if timed else None)


def batch_count(sequences: Sequences, history: int, batch_windows: int) -> int:
    """Return the expected number of batches per epoch; random phases change the number by a few."""
    targets = np.maximum(sequences.train_length - 1, 0)  # [U]
    # A user whose targets do not fit in one window is cut at (targets - 1) / history places, in the mean over phases.
    windows = np.where(targets > history, 1 + (targets - 1) / history, targets > 0)  # [U]
    return max(1, round(windows.sum() / batch_windows))


def _batch(sequences: Sequences, places: list[slice], forgets: np.random.Generator | None) -> Batch:
    """Return a batch of windows; with gaps, if there is a generator that says which windows lack them."""
    windows = [sequences.items[place] for place in places]
    rows, lengths = pad_histories([window[:-1] for window in windows], limit=len(max(windows, key=len)))
    targets, _ = pad_histories([window[1:] for window in windows], limit=rows.shape[1])
    gaps = None
    if forgets is not None:
        gaps, _ = pad_histories(
            [sequences.gaps[place][:-1].astype(np.int64) for place in places], limit=rows.shape[1]
        )
        gaps[forgets.random(len(gaps)) < FORGOTTEN] = NO_GAP
    return Batch(rows, targets, np.arange(rows.shape[1]) < lengths[:, None], gaps)
