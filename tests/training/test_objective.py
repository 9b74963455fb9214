"""The training loss."""

import numpy as np
import torch
from hierrec.model.params import TrainParams
from hierrec.training.batches import Batch
from hierrec.training.objective import Objective
from numpy.typing import NDArray

from tests.model.world import ITEMS, new_member


def test_many_negatives_give_the_loss_over_the_whole_catalogue(train_params: TrainParams, frozen: NDArray) -> None:
    probability = torch.arange(1, ITEMS + 1) / torch.arange(1, ITEMS + 1).sum()
    batch = Batch(np.array([[1, 2, 3]]), np.array([[2, 3, 4]]), np.ones((1, 3), np.bool_))
    losses = []
    for loss in ("softmax", "sampled_softmax"):
        params = train_params.model_copy(update={"loss": loss, "negatives": 100_000})
        objective = Objective(new_member(params, frozen), probability).eval()
        with torch.no_grad():
            losses.append(objective(batch, torch.Generator().manual_seed(0)))
    torch.testing.assert_close(losses[1], losses[0], atol=0.02, rtol=0)
