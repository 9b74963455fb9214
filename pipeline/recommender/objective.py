"""What training minimises: the loss of a batch of windows, as one module."""

from functools import partial

import torch
from torch import Tensor, nn

from ..params import TrainParams
from .batches import Batch
from .ensemble import UserModel
from .loss import sampled_softmax_loss, softmax_loss


class Objective(nn.Module):
    """The model's members, each with its loss.

    The model may compute in bfloat16 (autocast); its weights, the scores and the loss are float32 all the same.

    What has no gradient is made on the CPU, so that a batch has the same negatives wherever the model is.

    Args:
        model: that is trained, on any device.
        probability: float32 [n] on the CPU, by which negatives are drawn.
        params: section `train`.
    """

    def __init__(self, model: UserModel, probability: Tensor, params: TrainParams) -> None:
        super().__init__()
        self.model, self.probability, self.params = model, probability, params

    def forward(self, batch: Batch, sampler: torch.Generator) -> Tensor:
        """Return the members' mean losses over the batch's positions, summed: each learns as if it were alone.

        The negatives are the same for all; they come from `sampler`, whatever the batch.
        """
        device = next(self.model.parameters()).device
        mask = torch.from_numpy(batch.mask)  # [B, T]
        targets = torch.from_numpy(batch.targets)[mask]  # [M]
        if self.params.loss == "softmax":
            items, loss = None, partial(softmax_loss, targets=targets.to(device))
        else:
            negatives = torch.multinomial(
                self.probability, self.params.negatives, replacement=True, generator=sampler
            )  # [S]
            # A step costs the items that it touches, not the catalogue.
            items, places = torch.cat([targets, negatives]).unique(return_inverse=True)  # [k], [M + S]
            drawn = self.probability[items].log().to(device)  # [k]
            items, places = items.to(device), places.to(device)
            target_places, negative_places = places.split([len(targets), len(negatives)])  # [M], [S]
            loss = partial(
                sampled_softmax_loss,
                targets=target_places,
                negatives=negative_places,
                log_probability=drawn,
            )
        rows, mask = torch.from_numpy(batch.rows).to(device), mask.to(device)  # [B, T] each
        losses = []
        for member in self.model.members:
            with torch.autocast(device.type, torch.bfloat16, enabled=self.params.precision == "bfloat16"):
                users = member(rows)[mask]  # [M, D]
            keys, biases = member.catalogue(items)  # [k, D], [k]
            losses.append(loss(users.float(), keys=keys, biases=biases))
        return torch.stack(losses).sum()
