"""Large data: an epoch has a limited number of batches."""

from pathlib import Path

import numpy as np
import torch
from hierrec.core.sequences import Sequences
from hierrec.model.ensemble import UserModel
from hierrec.model.params import TrainParams
from hierrec.training.batches import batch_count
from hierrec.training.resume import Progress
from numpy.typing import NDArray

from tests.model.world import trained


def test_an_epoch_is_a_random_part_of_the_batches(
    train_params: TrainParams, frozen: NDArray, sequences: Sequences, tmp_path: Path
) -> None:
    def fitted(most: int | None) -> tuple[UserModel, Progress]:
        # Without learning, losses differ only by the drawn batches.
        changes = {"epoch_batches": most, "batch_windows": 4, "learning_rate": 1e-9}
        params = train_params.model_copy(update=changes)
        return trained(params, frozen, sequences, lambda _: {"ndcg@10": 0.5}, tmp_path / str(most))

    batches = batch_count(sequences, train_params.model_copy(update={"batch_windows": 4}))
    (whole, progress), (limited, same) = fitted(None), fitted(10**6)
    assert progress.steps[0] >= train_params.epochs * (batches - 1)
    assert same.curve == progress.curve
    assert all(map(torch.equal, whole.state_dict().values(), limited.state_dict().values()))
    _, part = fitted(2)
    assert part.steps == [2 * train_params.epochs]
    losses = [np.array([record["train_loss"] for record in one.curve]) for one in (progress, part)]
    assert len(losses[1]) == train_params.epochs
    assert np.ptp(losses[1]) > 3 * np.ptp(losses[0])
