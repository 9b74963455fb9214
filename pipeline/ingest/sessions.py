"""Sessions of a split by time: a session starts after a gap that is as long as the gaps before targets."""

import numpy as np
from numpy.typing import NDArray

from ..data.sequences import GAPS

DISTANCE = 0.5
"""Least distance (one-sided Kolmogorov-Smirnov) of the gaps before targets from the gaps before training items."""


def session_gap(
    training: NDArray[np.int8], targets: NDArray[np.int8], weights: NDArray[np.float64]
) -> int | None:
    """Return the shortest gap that starts a session, as a bucket of `gap_buckets`.

    This gap separates targets from training items best: no other gap has a larger difference between the share of
    targets and the share of training items with at least that gap. After a cut in time, the targets of a shop start a
    visit, while most training items follow within one.

    Args:
        training: int8 [N], the bucket of the gap before each training item.
        targets: int8 [M], the bucket of the gap before each validation target.
        weights: float64 [N], weights of the training items; all users should have the same total weight.

    Returns:
        None if the shares differ by less than `DISTANCE` at every gap, or if fewer training items than targets have
        such a gap: too few to learn from.
    """
    counts = (
        np.bincount(targets, minlength=GAPS),
        np.bincount(training, weights, minlength=GAPS),
    )  # [GAPS] each
    shares = [count / max(count.sum(), np.finfo(np.float64).tiny) for count in counts]
    at_least = [share[::-1].cumsum()[::-1] for share in shares]  # [GAPS] each
    difference = at_least[0] - at_least[1]  # [GAPS]
    bucket = int(difference.argmax())
    learned = len(targets) > 0 and (training >= bucket).sum() >= len(targets)
    return bucket if learned and difference[bucket] >= DISTANCE else None
