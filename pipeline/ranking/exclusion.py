"""What may not be recommended to whom: one rule, for the recommenders and for their evaluation."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def excluded_items(histories: Sequence[NDArray[np.int64]], candidates: NDArray[np.bool_]) -> Tensor:
    """Return bool [B, n], true where an item is no candidate, or is in the history.

    Args:
        histories: B histories, item rows.
        candidates: bool [n], items that may be recommended.
    """
    excluded = torch.from_numpy(~candidates).repeat(len(histories), 1)  # [B, n]
    for row, history in zip(excluded, histories, strict=True):
        row[torch.from_numpy(history)] = True
    return excluded
