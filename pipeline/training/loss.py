"""Next-item losses over the whole catalogue: exact softmax, and softmax with sampled negatives."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F


def softmax_loss(users: Tensor, targets: Tensor, keys: Tensor, biases: Tensor) -> Tensor:
    """Mean cross-entropy over all n items.

    Args:
        users: [M, D].
        targets: int64 [M], item rows.
        keys: [n, D], catalogue keys.
        biases: [n].
    """
    return F.cross_entropy(users @ keys.T + biases, targets)  # [M, n]


def sampled_softmax_loss(
    users: Tensor, targets: Tensor, keys: Tensor, biases: Tensor, negatives: Tensor, log_probability: Tensor
) -> Tensor:
    """Mean cross-entropy with the partition sum estimated from negatives shared by the batch.

    Importance sampling: an item drawn S times with probability q stands for 1 / (S q) items, so its logit gets
    -log(S q) (Bengio & Senécal 2008, doi 10.1109/TNN.2007.912312). A negative that is the target is left out.

    Args:
        users: [M, D].
        targets: int64 [M], item rows.
        keys: [n, D], catalogue keys.
        biases: [n].
        negatives: int64 [S], item rows drawn with replacement.
        log_probability: [n], log q of every item.
    """
    # Not `keys[targets]`: its gradient is summed in an order that threads decide.
    target_keys, target_biases = F.embedding(targets, keys), biases.index_select(0, targets)  # [M, D], [M]
    negative_keys, negative_biases = (
        F.embedding(negatives, keys),
        biases.index_select(0, negatives),
    )  # [S, D], [S]
    positive = (users * target_keys).sum(-1) + target_biases  # [M]
    correction = log_probability[negatives] + math.log(len(negatives))  # [S]
    sampled = users @ negative_keys.T + (negative_biases - correction)  # [M, S]
    sampled = sampled.masked_fill(targets[:, None] == negatives[None, :], -torch.inf)
    total = torch.logsumexp(torch.cat([positive[:, None], sampled], dim=1), dim=1)  # [M]
    return (total - positive).mean()
