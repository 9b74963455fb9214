"""Rank one target per user among the full catalogue."""

from collections.abc import Callable
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..core.errors import DataError
from ..core.progress import track
from ..core.sequences import NO_TARGET
from .ranking import excluded_items, mean_ranks


class HistoryScorer(Protocol):
    """Scores the full catalogue for a batch of histories."""

    def score_histories(self, histories: list[NDArray[np.int64]], users: NDArray[np.int64]) -> Tensor:
        """Return scores [B, n], higher is better, of the histories (oldest item first) of the users int64 [B]."""
        ...


def rank_targets(
    scorer: HistoryScorer,
    histories: list[NDArray[np.int64]],
    targets: NDArray[np.int64],
    candidates: NDArray[np.bool_],
    batch_users: int,
    seen: list[NDArray[np.int64]] | None = None,
    repeated: bool = False,
    users: NDArray[np.int64] | None = None,
) -> NDArray[np.float64]:
    """Rank every user's target among the candidates that are not in the user's history.

    Returns the ranks of the users that have a target, float64 [U'], in their order. Raises ``DataError`` if a target is
    in the history or in `seen` and items are not repeated: that is a leak.

    Args:
        scorer: the recommender.
        histories: U histories for the recommender: item rows, oldest first.
        targets: int64 [U], item rows; users with `NO_TARGET` are skipped.
        candidates: bool [n], items that may be ranked.
        batch_users: users per batch; it changes speed and memory, not ranks.
        seen: U arrays of further item rows that are not ranked, such as the true histories of perturbed ones.
        repeated: users have items twice, so items of the history are ranked and the target may be among them.
        users: int64 [U], the user of each history; None: history u is of user u.
    """
    known = histories if seen is None else [np.append(*pair) for pair in zip(histories, seen, strict=True)]

    def score(batch: NDArray[np.int64]) -> Tensor:
        owners = batch if users is None else users[batch]  # [B]
        return scorer.score_histories([histories[row] for row in batch], owners)  # [B, n]

    return rank_in_batches(score, known, targets, candidates, batch_users, repeated)


def rank_in_batches(
    score: Callable[[NDArray[np.int64]], Tensor],
    seen: list[NDArray[np.int64]],
    targets: NDArray[np.int64],
    candidates: NDArray[np.bool_],
    batch_users: int,
    repeated: bool = False,
) -> NDArray[np.float64]:
    """Rank every user's target among the candidates that are not in `seen`, U arrays of item rows.

    `score` takes rows of `targets`, int64 [B], and returns scores of the full catalogue, [B, n]. All else is as for
    `rank_targets`.
    """
    rows = np.flatnonzero(targets != NO_TARGET)
    for row in rows:
        if not repeated and targets[row] in seen[row]:
            remedy = "end each history before its target, and give no user an item twice"
            raise DataError(f"the history holds the target, item {targets[row]}", f"history {row}", remedy)
    by_length = rows[np.argsort([len(seen[row]) for row in rows], kind="stable")]  # little padding
    ranks = np.empty(len(targets))
    for start in track(range(0, len(rows), batch_users), desc="rank", unit="batch", leave=False):
        batch = by_length[start : start + batch_users]
        with torch.inference_mode():
            # Equal items tie in float32. In float64, rounding differs between the columns of a product.
            scores = torch.as_tensor(score(batch)).float()  # [B, n]
        if scores.shape != (wanted := (len(batch), len(candidates))):
            raise DataError(f"the scorer gives scores {list(scores.shape)}, not [users, items], {list(wanted)}")
        excluded = excluded_items([seen[row] for row in batch], candidates, repeated)  # [B, n]
        ranks[batch] = mean_ranks(scores, torch.from_numpy(targets[batch]), excluded).numpy()
    return ranks[rows]
