"""Sessions of a split by time: where a user comes back after a gap as long as those before the targets."""

import numpy as np
from numpy.typing import NDArray

from ..data.sequences import GAPS

DISTANCE = 0.5
"""Least distance (Kolmogorov-Smirnov) of the gaps before targets from those before training items."""


def session_gap(training: NDArray[np.int8], targets: NDArray[np.int8]) -> int | None:
    """Return the shortest gap that starts a session, as a bucket of `gap_buckets`.

    It is the gap that tells targets from training items best: the share of targets with at least this gap exceeds the
    share of training items by most. Behind a cut in time, the targets of a shop start a visit, while most training
    items follow within one.

    Args:
        training: int8 [N], the bucket of the gap before each training item.
        targets: int8 [M], the same of the validation targets.

    Returns:
        None if the two shares differ by less than `DISTANCE` at every gap: then targets follow as training items do.
    """
    shares = [np.bincount(gaps, minlength=GAPS) / max(1, len(gaps)) for gaps in (targets, training)]
    at_least = [share[::-1].cumsum()[::-1] for share in shares]  # [GAPS] each
    difference = at_least[0] - at_least[1]  # [GAPS]
    bucket = int(difference.argmax())
    return bucket if difference[bucket] >= DISTANCE else None
