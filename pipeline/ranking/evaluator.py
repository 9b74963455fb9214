"""Full-catalogue evaluation of a recommender on one target per user."""

from collections.abc import Callable
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from ..core.errors import DataError
from ..data.sequences import NO_TARGET
from .exclusion import excluded_items
from .ranking import mean_ranks


class Scorer(Protocol):
    """Anything that scores the whole catalogue for a batch of histories."""

    def score_histories(self, histories: list[NDArray[np.int64]], users: NDArray[np.int64]) -> Tensor:
        """Return scores [B, n], higher is better, of histories (oldest first) of the users int64 [B]."""
        ...


def rank_targets(
    scorer: Scorer,
    histories: list[NDArray[np.int64]],
    targets: NDArray[np.int64],
    candidates: NDArray[np.bool_],
    batch_users: int,
    seen: list[NDArray[np.int64]] | None = None,
) -> NDArray[np.float64]:
    """Rank every user's target among the candidates that are not in the user's history.

    Args:
        scorer: the recommender.
        histories: U histories, item rows, oldest first: what the recommender reads.
        targets: int64 [U], item rows; users with `NO_TARGET` are passed over.
        candidates: bool [n], items that may be ranked.
        batch_users: users per batch; changes speed and memory, not ranks.
        seen: U arrays of item rows that are not ranked either. Where `histories` are perturbed, these are the true
            ones: an item that was dropped from the input does not become a recommendation.

    Returns:
        float64 [U'], ranks of the users that have a target, in their order.

    Raises:
        DataError: a target is in the history or among `seen`. Data in which a user has an item twice is refused by
            `ingest`, so this is a leak.
        NumericalError: a score is NaN.
    """
    kept_out = (
        histories if seen is None else [np.concatenate(pair) for pair in zip(histories, seen, strict=True)]
    )

    def score(batch: NDArray[np.int64]) -> Tensor:
        return scorer.score_histories([histories[user] for user in batch], batch)  # [B, n]

    return rank_in_batches(score, kept_out, targets, candidates, batch_users)


def rank_in_batches(
    score: Callable[[NDArray[np.int64]], Tensor],
    seen: list[NDArray[np.int64]],
    targets: NDArray[np.int64],
    candidates: NDArray[np.bool_],
    batch_users: int,
) -> NDArray[np.float64]:
    """Rank every user's target among the candidates that the user has not seen.

    Args:
        score: scores of the whole catalogue [B, n] for the users int64 [B].
        seen: U arrays of item rows.
        targets: as for `rank_targets`, like all the rest.
    """
    users = np.flatnonzero(targets != NO_TARGET)
    _refuse_leaks(users, seen, targets)
    lengths = np.array([len(seen[user]) for user in users])
    by_length = users[np.argsort(lengths, kind="stable")]  # batches with little padding
    ranks = np.empty(len(targets))
    for start in tqdm(
        range(0, len(users), batch_users), desc="rank", unit="batch", disable=None, leave=False
    ):
        batch = by_length[start : start + batch_users]
        with torch.inference_mode():
            # In float32, equal items tie: rounding in float64 differs between the columns of one product.
            scores = score(batch).float()  # [B, n]
        excluded = excluded_items([seen[user] for user in batch], candidates)  # [B, n]
        ranks[batch] = mean_ranks(scores, torch.from_numpy(targets[batch]), excluded).numpy()
    return ranks[users]


def _refuse_leaks(
    users: NDArray[np.int64], seen: list[NDArray[np.int64]], targets: NDArray[np.int64]
) -> None:
    for user in users:
        if targets[user] in seen[user]:
            raise DataError(
                f"the history holds the target, item {targets[user]}, which it must not know",
                f"history of user {user}",
                "a history ends before its target, and no user has an item twice; mend what makes the histories",
            )
