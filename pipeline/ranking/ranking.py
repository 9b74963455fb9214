"""Ranks of targets among the candidates, and the items that may not be recommended."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..core.errors import NumericalError


def excluded_items(
    histories: Sequence[NDArray[np.int64]], candidates: NDArray[np.bool_], repeated: bool = False
) -> Tensor:
    """Return bool [B, n], true if an item is none of the candidates, bool [n], or in the history of item rows.

    Items of the history are not excluded if users take items `repeated`. The recommenders and their evaluation share
    this rule.
    """
    excluded = torch.from_numpy(~candidates).repeat(len(histories), 1)  # [B, n]
    if not repeated:
        for row, history in zip(excluded, histories, strict=True):
            row[torch.from_numpy(history)] = True
    return excluded


def top_items(scores: Tensor, excluded: Tensor, count: int) -> NDArray[np.int64]:
    """Return the best items by scores, float [B, n], but for the excluded, bool [B, n].

    int64 [B, count], best first, ties by row; -1 stands for none.
    """
    scores = scores.masked_fill(excluded, -torch.inf)
    worst = scores.topk(min(count, scores.shape[1])).values[:, -1:]  # [B, 1]
    row, item = ((scores >= worst) & ~excluded).nonzero().T.numpy()  # [P], with all that tie with the worst
    order = np.lexsort((item, -scores.numpy()[row, item], row))
    row, item = row[order], item[order]
    place = np.arange(len(row)) - np.searchsorted(row, row)  # [P], within the list
    top = np.full((len(scores), count), -1, np.int64)
    within = place < count
    top[row[within], place[within]] = item[within]
    return top


def mean_ranks(scores: Tensor, target: Tensor, excluded: Tensor | None = None) -> Tensor:
    """Return the rank of each row's target among the candidates that are not excluded, float64 [B]; 1 is best.

    Tied items share the mean of their ranks, so a model that gives every item the same score ranks like chance. An
    excluded target cannot be recommended: its rank is infinite, a miss in every metric. Raises ``NumericalError`` if a
    candidate that is not excluded has the score NaN.

    Args:
        scores: float [B, C], higher is better; infinities are allowed.
        target: int64 [B], column of each row's target.
        excluded: bool [B, C], candidates that are not ranked; None ranks all.
    """
    target = target.unsqueeze(1)  # [B, 1]
    ranked = torch.ones_like(scores, dtype=torch.bool) if excluded is None else ~excluded  # [B, C]
    undefined = (scores.isnan() & ranked).nonzero()
    if len(undefined):
        row, column = undefined[0].tolist()
        what = f"the score of candidate {column} is NaN ({len(undefined)} NaN in all)"
        remedy = "train again with a lower learning rate; a checkpoint with NaN cannot be evaluated"
        raise NumericalError(what, f"row {row} of the batch", remedy)
    target_score = scores.gather(1, target)  # [B, 1]
    better = ((scores > target_score) & ranked).sum(1)  # [B]
    tied = ((scores == target_score) & ranked).sum(1)  # [B], the target among them
    rank = better + (tied + 1).to(torch.float64) / 2
    return rank.masked_fill(~ranked.gather(1, target).squeeze(1), torch.inf)
