"""Rank items without a residual, with remedies that need no training: `python -m bench.new_items --artifacts DIR`.

A tenth of the trained items lose their residual after training, and the validation targets are ranked among all items.
The other weights were trained on these items, so the metrics are higher than for really new items (`bench.ablation`,
stage `cold`, trains without them). This takes a minute, not hours, and suffices to compare remedies.
"""

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
import torch
from hierrec.core.sequences import NO_TARGET
from hierrec.model.checkpoint import load_model
from hierrec.model.inputs import load_inputs
from hierrec.model.scorer import Scorer
from hierrec.model.sequence_model import SequenceModel
from hierrec.ranking.evaluator import rank_targets
from numpy.typing import NDArray
from torch import Tensor

from bench.ablation.cold_split import choose_cold

K, BATCH = 10, 64
BIASES, SCALES = (0.1, 0.25, 0.5, 1, 2), (1.1, 1.25, 1.5, 2)


@dataclass(frozen=True)
class Ranked:
    """Scores as products of user states and item keys."""

    states: Tensor  # [U, D]
    keys: Tensor  # [n, D]
    biases: Tensor  # [n]

    def score_histories(self, histories: list[NDArray[np.int64]], users: NDArray[np.int64]) -> Tensor:
        """Score the whole catalogue, [B, n]."""
        return self.states[torch.from_numpy(users)] @ self.keys.T + self.biases


def remedies(model: SequenceModel, new: Tensor, fitted: Tensor) -> Iterator[tuple[str, Tensor, Tensor]]:
    """Yield name, keys [n, D] and biases [n].

    Args:
        model: trained.
        new: bool [n], items without a known residual.
        fitted: bool [n], items whose residuals the regression is fitted to.
    """
    frozen, residual = model.items.frozen, model.items.residual.detach()
    width = frozen.shape[1]

    def catalogue(residuals: Tensor, scale: float = 1, more: float = 0) -> tuple[Tensor, Tensor]:
        changed = copy.deepcopy(model)
        changed.items.frozen = torch.where(new[:, None], scale * frozen, frozen)  # [n, F]
        changed.items.residual.data = residuals  # [n, R]
        changed.key_scale[new] = 1
        keys, biases = changed.item_keys()
        return keys.detach(), biases.detach() + more * new

    without = torch.where(new[:, None], 0, residual)
    yield "no residual", *catalogue(without)
    yield "own residual (unknown in practice)", *catalogue(residual)
    yield "no residual for any item", *catalogue(torch.zeros_like(residual))
    for more in BIASES:
        yield f"no residual, logit + {more}", *catalogue(without, more=more)
    for scale in SCALES:
        yield f"no residual, text x {scale}", *catalogue(without, scale)
    texts = torch.nn.functional.pad(frozen, (0, 1), value=1).double()  # [n, F + 1]
    known = texts[fitted]
    gram = known.T @ known + torch.eye(width + 1, dtype=torch.float64)
    predicted = texts @ torch.linalg.solve(gram, known.T @ residual[fitted].double())  # [n, R]
    yield "residual by ridge regression", *catalogue(torch.where(new[:, None], predicted.float(), residual))


@click.command()
@click.option("--artifacts", type=click.Path(path_type=Path), default=Path("artifacts"))
@click.option("--users", default=2500, help="Number of users, drawn at random.")
@click.option("--share", default=0.1, help="Share of the trained items that are new.")
@click.option("--seed", default=1)
def main(artifacts: Path, users: int, share: float, seed: int) -> None:
    """Print Recall@10 of validation targets that are new items, and of all others."""
    inputs = load_inputs(artifacts / "data", artifacts / "item_embeddings")
    folder = artifacts / "models" / "hierarchical"
    (model, *_) = load_model(folder, inputs.frozen, inputs.store_hash).members
    histories, targets = inputs.sequences.validation_histories(), inputs.sequences.validation
    trained = inputs.sequences.training_counts(len(inputs.items)) > 0
    new = choose_cold(inputs.items["item_id"].to_list(), trained, share, seed)
    drawn = np.random.default_rng(seed).permutation(len(histories))[:users]
    drawn = drawn[np.argsort([len(histories[user]) for user in drawn], kind="stable")]
    scorer = Scorer(model, inputs.validation_candidates, dtype=torch.float32)
    states = torch.zeros(len(histories), model.width)
    with torch.inference_mode():
        for batch in np.array_split(drawn, max(1, len(drawn) // BATCH)):
            states[torch.from_numpy(batch)] = scorer.states([histories[user] for user in batch])
    asked = np.full_like(targets, NO_TARGET)
    asked[drawn] = targets[drawn]
    is_new = (asked != NO_TARGET) & new[asked]
    click.echo(f"{new.sum()} new items, {is_new.sum()} targets among them, {(asked != NO_TARGET).sum()} in all")
    for name, keys, biases in remedies(model, torch.from_numpy(new), torch.from_numpy(trained & ~new)):
        ranked = Ranked(states, keys, biases)
        recalls = [
            (rank_targets(ranked, histories, wanted, inputs.validation_candidates, BATCH) <= K).mean()
            for wanted in (np.where(is_new, asked, NO_TARGET), np.where(is_new, NO_TARGET, asked))
        ]
        click.echo(f"{name:36s} new {recalls[0]:.4f}  others {recalls[1]:.4f}")


if __name__ == "__main__":
    main()
