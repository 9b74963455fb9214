"""What the student is trained for: the teacher's vectors, similarities and neighbours."""

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity, kl_div, log_softmax, normalize, softmax


def distillation(student: Tensor, target: Tensor, temperature: float) -> dict[str, Tensor]:
    """Terms of the loss for a batch; each is 0 at best.

    Args:
        student: pooled vectors, [b, width]; the first d dimensions are compared with the target, all of them
            count for the similarities.
        target: teacher vectors in the target space, [b, d].
        temperature: of the neighbour distributions.

    Returns:
        `vector` 1 - cosine with the target; `centred` the same less the batch's means; `pairs` 1 - Pearson
        correlation of the centred cosines of all pairs; `neighbours` KL divergence of the softmax over them
        (similarity-preserving distillation, Tejankar et al. 2021, ISD; Fang et al. 2021, SEED).
    """
    d = target.shape[1]
    terms = {"vector": 1 - cosine_similarity(student[:, :d], target).mean()}
    if len(target) < 8:
        return terms
    ours, theirs = student - student.mean(0), target - target.mean(0)
    terms["centred"] = 1 - cosine_similarity(ours[:, :d], theirs).mean()
    ours, theirs = normalize(ours, dim=1), normalize(theirs, dim=1)
    mine, wanted = ours @ ours.T, theirs @ theirs.T  # [b, b]
    apart = ~torch.eye(len(target), dtype=torch.bool)
    a, b = mine[apart], wanted[apart]  # [b * (b - 1)]
    terms["pairs"] = 1 - cosine_similarity(a - a.mean(), b - b.mean(), dim=0)
    a, b = (m[apart].view(len(target), -1) / temperature for m in (mine, wanted))  # [b, b - 1]
    terms["neighbours"] = kl_div(log_softmax(a, 1), softmax(b, 1), reduction="batchmean")
    return terms
