"""Full-catalogue evaluation of a recommender on one target per user."""

from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from ..data.sequences import NO_TARGET
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
) -> NDArray[np.float64]:
    """Rank every user's target among the candidates that are not in the user's history.

    Args:
        scorer: the recommender.
        histories: U histories, item rows, oldest first.
        targets: int64 [U], item rows; users with `NO_TARGET` are passed over.
        candidates: bool [n], items that may be ranked.
        batch_users: users per batch; changes speed and memory, not ranks.

    Returns:
        float64 [U'], ranks of the users that have a target, in their order.
    """
    users = np.flatnonzero(targets != NO_TARGET)
    ranks = np.empty(len(targets))
    lengths = np.array([len(histories[user]) for user in users])
    by_length = users[np.argsort(lengths, kind="stable")]
    not_candidate = torch.from_numpy(~candidates)  # [n]
    for start in tqdm(
        range(0, len(by_length), batch_users), desc="rank", unit="batch", disable=None, leave=False
    ):
        batch = by_length[start : start + batch_users]
        batch_histories = [histories[user] for user in batch]
        with torch.inference_mode():
            scores = scorer.score_histories(batch_histories, batch)  # [B, n]
        excluded = not_candidate.repeat(len(batch), 1)  # [B, n]
        for row, history in enumerate(batch_histories):
            excluded[row, torch.from_numpy(history)] = True
        # In float32, equal items tie: rounding in float64 differs between the columns of one product.
        ranks[batch] = mean_ranks(scores.float(), torch.from_numpy(targets[batch]), excluded).numpy()
    return ranks[users]
