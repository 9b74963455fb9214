"""Training of the fusion on held-out targets; the sequence model stays as it is."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from ..core.errors import NumericalError
from ..model.checkpoint import CHOSEN_BY, state_of
from ..model.scorer import Scorer
from ..rag.fusion import Fusion
from ..rag.params import FusionParams
from .fusion_examples import FusionExamples

ValidateFusion = Callable[[Fusion], dict[str, float]]


def train_fusion(
    fusion: Fusion,
    scorer: Scorer,
    examples: FusionExamples,
    params: FusionParams,
    seed: int,
    validate: ValidateFusion,
) -> list[dict[str, float]]:
    """Maximise the likelihood of the examples' targets under the mixture; leave the best weights in `fusion`.

    The model must not have been trained on the targets. It is overconfident on its training targets, and a fusion that
    learns from them gives all weight to the model.

    Args:
        fusion: untrained.
        scorer: of the sequence model alone, in float32.
        examples: one or more users with targets that the model has not seen, and what was retrieved for them.
        params: section `fusion`.
        seed: of the order of the examples.
        validate: metrics of a fusion on other users; NDCG@10 picks the epoch.

    Returns:
        One record per epoch; epoch 0, without a loss, is the untrained interpolation.

    Raises:
        NumericalError: the loss is not finite.
    """
    optimizer = torch.optim.AdamW(fusion.parameters(), lr=params.learning_rate, weight_decay=0.01)
    generator = np.random.default_rng([seed, len(examples)])
    batch_count = -(-len(examples) // params.batch_users)
    curve = [{"epoch": 0, **validate(fusion.eval())}]
    best = state_of(fusion)
    for epoch in tqdm(range(1, params.epochs + 1), desc="fusion", unit="epoch", disable=None):
        fusion.train()
        total = 0.0
        for batch in np.array_split(generator.permutation(len(examples)), batch_count):
            loss = _loss(examples.fuse(batch, scorer, fusion), examples.targets[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(batch)
        curve.append({"epoch": epoch, "train_loss": total / len(examples), **validate(fusion.eval())})
        if curve[-1][CHOSEN_BY] > max(record[CHOSEN_BY] for record in curve[:-1]):
            best = state_of(fusion)
    fusion.load_state_dict(best)
    return curve


def _loss(log_probability: Tensor, targets: NDArray[np.int64]) -> Tensor:
    """Mean negative log-likelihood; a target that repeats an item of the history teaches nothing."""
    likelihood = log_probability.gather(1, torch.from_numpy(targets)[:, None]).squeeze(1)  # [B]
    taught = likelihood > -torch.inf
    loss = -likelihood[taught].sum() / taught.sum().clamp(min=1)
    if not torch.isfinite(loss):
        raise NumericalError(f"the fusion's loss is {loss.item()}", remedy="lower fusion.learning_rate")
    return loss
