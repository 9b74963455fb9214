"""Shrinkage of what the model has learned about rarely seen items."""

import torch
from torch import Tensor

from ..model.ensemble import UserModel


@torch.no_grad()
def shrink(model: UserModel, counts: Tensor, prior: float) -> None:
    """Keep c = n / (n + prior) of what sets an item with n training interactions apart.

    Adam's steps have about the same length whatever the gradient, so the residual of a rarely seen item grows as long
    as any other's, by noise. Its residual shrinks to c times itself, and its key's length to the geometric mean of all
    trained items' lengths: its logarithm keeps c of its difference from the mean. With many interactions nothing
    changes.

    Args:
        model: trained, on the CPU; changed in place.
        counts: int64 [n], training interactions of each item, some of them positive.
        prior: interactions at which an item keeps half.
    """
    kept = counts / (counts + prior)  # [n]
    for member in model.members:
        member.items.residual.mul_(kept[:, None])
        member.key_scale.fill_(1)
        length = member.item_keys()[0].norm(dim=1)  # [n]
        typical = length[(counts > 0) & (length > 0)].log().mean().exp()
        scale = (typical / length) ** (1 - kept)  # [n]
        member.key_scale.copy_(scale.where(length > 0, torch.ones(())))
