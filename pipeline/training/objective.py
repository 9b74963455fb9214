"""What training minimises: the loss of a batch of windows, as one module."""

import torch
from torch import Tensor, nn

from ..model.params import TrainParams
from ..model.sequence_model import SequenceModel
from .batches import Batch
from .loss import sampled_softmax_loss, softmax_loss


class Objective(nn.Module):
    """Sequence model and loss.

    The model may compute in bfloat16 (autocast); its weights, the scores and the loss are float32 all the same.

    What has no gradient is made on the CPU, so that a batch has the same negatives wherever the model is.

    Args:
        model: that is trained, on any device.
        probability: float32 [n] on the CPU, by which negatives are drawn.
        params: section `train`.
    """

    def __init__(self, model: SequenceModel, probability: Tensor, params: TrainParams) -> None:
        super().__init__()
        self.model, self.probability, self.params = model, probability, params

    def forward(self, batch: Batch, sampler: torch.Generator) -> Tensor:
        """Return the mean loss over the batch's positions; the negatives come from `sampler`, whatever the batch."""
        device = self.model.items.frozen.device
        mask = torch.from_numpy(batch.mask)  # [B, T]
        targets = torch.from_numpy(batch.targets)[mask]  # [M]
        rows = torch.from_numpy(batch.rows).to(device)  # [B, T]
        with torch.autocast(device.type, torch.bfloat16, enabled=self.params.precision == "bfloat16"):
            users = self.model(rows)[mask.to(device)]  # [M, D]
        users = users.float()
        if self.params.loss == "softmax":
            return softmax_loss(users, targets.to(device), *self.model.item_keys())
        negatives = torch.multinomial(
            self.probability, self.params.negatives, replacement=True, generator=sampler
        )  # [S]
        # A step costs the items that it touches, not the catalogue.
        items, places = torch.cat([targets, negatives]).unique(return_inverse=True)  # [k], [M + S]
        drawn = self.probability[items].log().to(device)  # [k]
        items, places = items.to(device), places.to(device)
        keys, biases = self.model.item_keys(items)  # [k, D], [k]
        return sampled_softmax_loss(
            users, places[: len(targets)], keys, biases, places[len(targets) :], drawn
        )
