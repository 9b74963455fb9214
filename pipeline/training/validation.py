"""The validation metrics by which training picks an epoch."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from ..data.sequences import Sequences
from ..model.ensemble import UserModel
from ..model.scorer import Scorer
from ..ranking.evaluator import rank_targets
from ..ranking.metrics import metrics_from_ranks

BATCH_USERS = 256


def validator(sequences: Sequences, candidates: NDArray[np.bool_]) -> Callable[[UserModel], dict[str, float]]:
    """Return a function that ranks every user's validation target with a model, in float32.

    Args:
        sequences: whose validation targets are ranked.
        candidates: bool [n], items among which they are ranked.
    """
    histories, repeated = sequences.validation_histories(), sequences.repeated

    def validate(model: UserModel) -> dict[str, float]:
        scorer = Scorer(model, candidates, dtype=torch.float32, repeated=repeated)
        ranks = rank_targets(
            scorer, histories, sequences.validation, candidates, BATCH_USERS, repeated=repeated
        )
        return metrics_from_ranks(ranks)

    return validate
