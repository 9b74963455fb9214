"""Shrinkage of the residuals and keys of rarely seen items."""

import torch
from torch import Tensor

from ..model.ensemble import UserModel


@torch.no_grad()
def shrink(model: UserModel, counts: Tensor, prior: float) -> None:
    """Shrink the residual and the key of an item with n training interactions, by c = n / (n + prior).

    Adam's steps have about the same length for any gradient, so noise makes the residual of a rarely seen item as long
    as the residuals of other items. The residual is multiplied by c. The length of the key moves towards the geometric
    mean of all trained items' lengths: its logarithm keeps c of its difference from the mean. With many interactions
    nothing changes.

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
