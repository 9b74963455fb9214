"""Training batches: windows of user histories, in which every prefix is an example of one causal pass."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ..core.errors import DataError
from ..core.sequences import UNKNOWN_GAP, Sequences, pad_histories
from ..model.params import TrainParams

# Windows are shuffled, then sorted by length within pools of so many full batches, so that a batch has little padding.
POOL = 16
GAP_DROPOUT = 0.1  # share of windows whose gaps are unknown, so that the model learns to read histories without times


@dataclass(frozen=True)
class Batch:
    """A batch of windows, padded on the right."""

    rows: NDArray[np.int64]  # [B, T], item rows that the model reads
    targets: NDArray[np.int64]  # [B, T], the next item at each position
    mask: NDArray[np.bool_]  # [B, T], whether there is a target
    gaps: NDArray[np.int64] | None = None  # [B, T], gap before each item, if the model reads gaps
    session_starts: NDArray[np.bool_] | None = None  # [B, T], whether each target starts a session, if there are any


def training_windows(sequences: Sequences, history: int, generator: np.random.Generator) -> list[slice]:
    """Cut every user's training items into windows of at most `history + 1` items (`history` targets).

    Adjacent windows share one item, so every training item except a user's first is a target exactly once. Users with
    several windows are cut at a random phase: over the epochs, a target gets histories of different lengths. Returns
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


def training_batches(sequences: Sequences, params: TrainParams, generator: np.random.Generator) -> Iterator[Batch]:
    """Yield all batches of one epoch in random order; raise ``DataError`` if gaps are missing."""
    with_gaps = params.time == "gaps"
    if with_gaps and not len(sequences.gaps):
        raise DataError("there are no gaps to learn from", "times/gaps.parquet", "run `dvc repro`")
    groups = _groups(sequences, params, generator)
    for group in generator.permutation(len(groups)):
        yield _batch(sequences, groups[group], generator if with_gaps else None)


def batch_count(sequences: Sequences, params: TrainParams) -> int:
    """Return the number of batches of an epoch; random phases change it by a few."""
    return len(_groups(sequences, params, np.random.default_rng(0)))


def _groups(sequences: Sequences, params: TrainParams, generator: np.random.Generator) -> list[list[slice]]:
    """Return the windows of each batch; one window is always a batch."""
    windows, most = training_windows(sequences, params.history, generator), params.batch_windows
    order = generator.permutation(len(windows))
    groups = []
    for start in range(0, len(order), POOL * most):
        pool = [windows[index] for index in order[start : start + POOL * most]]
        pool.sort(key=lambda window: window.stop - window.start)
        group: list[slice] = []
        for window in pool:
            positions = (len(group) + 1) * (window.stop - window.start - 1)  # the longest comes last
            if group and (len(group) == most or positions > (params.batch_positions or positions)):
                groups.append(group)
                group = []
            group.append(window)
        groups.append(group)
    return groups


def _batch(sequences: Sequences, places: list[slice], forgets: np.random.Generator | None) -> Batch:
    """Return a batch of windows. With a generator, it has gaps, and the generator draws the windows without gaps."""
    windows = [sequences.items[place] for place in places]
    rows, lengths = pad_histories([window[:-1] for window in windows], limit=len(max(windows, key=len)))
    targets, _ = pad_histories([window[1:] for window in windows], limit=rows.shape[1])
    gaps = None
    if forgets is not None:
        gaps, _ = pad_histories([sequences.gaps[place][:-1] for place in places], limit=rows.shape[1])
        gaps[forgets.random(len(gaps)) < GAP_DROPOUT] = UNKNOWN_GAP
    starts = None
    if len(sequences.session_starts):
        padded, _ = pad_histories([sequences.session_starts[place][1:] for place in places], limit=rows.shape[1])
        starts = padded.astype(np.bool_)
    return Batch(rows, targets, np.arange(rows.shape[1]) < lengths[:, None], gaps, starts)
