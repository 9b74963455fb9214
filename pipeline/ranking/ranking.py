"""Ranks of the targets among all candidates, fair under ties."""

import torch
from torch import Tensor

from ..core.errors import NumericalError


def mean_ranks(scores: Tensor, target: Tensor, excluded: Tensor | None = None) -> Tensor:
    """Return the rank of each row's target among the candidates that are not excluded; the best rank is 1.

    A target tied with others gets the mean of the ranks they share, so that a model which gives every item
    the same score ranks like chance, never like a winner. A target that is itself excluded cannot be
    recommended: its rank is infinite, a miss in every metric.

    Args:
        scores: float [B, C], higher is better; infinities are allowed.
        target: int64 [B], column of each row's target.
        excluded: bool [B, C], true where a candidate is not ranked (it is in the history); None: all are.

    Returns:
        float64 [B].

    Raises:
        NumericalError: a candidate that is not excluded has the score NaN.
    """
    target = target.unsqueeze(1)  # [B, 1]
    ranked = torch.ones_like(scores, dtype=torch.bool) if excluded is None else ~excluded  # [B, C]
    undefined = (scores.isnan() & ranked).nonzero()
    if len(undefined):
        row, column = undefined[0].tolist()
        raise NumericalError(
            f"the score of candidate {column} is NaN ({len(undefined)} NaN in all)",
            f"row {row} of the batch",
            "train again with a lower learning rate; a checkpoint with NaN cannot be evaluated",
        )
    target_score = scores.gather(1, target)  # [B, 1]
    better = ((scores > target_score) & ranked).sum(1)  # [B]
    tied = ((scores == target_score) & ranked).sum(1)  # [B], the target among them
    rank = better + (tied + 1).to(torch.float64) / 2
    return rank.masked_fill(~ranked.gather(1, target).squeeze(1), torch.inf)
