"""Training of the recommender: one epoch reads every prefix of every user once."""

import copy
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from ..core.errors import DataError, NumericalError
from ..data.sequences import Sequences
from ..model.checkpoint import CHOSEN_BY, state_of
from ..model.ensemble import UserModel
from ..model.params import TrainParams
from ..model.sequence_model import SequenceModel
from .batches import batch_count, training_batches
from .distributed import Processes
from .objective import Objective
from .resume import Progress, TrainingState

Validate = Callable[[UserModel], dict[str, float]]
ALONE = Processes()


def fit(
    model: UserModel,
    sequences: Sequences,
    params: TrainParams,
    validate: Validate,
    state: TrainingState,
    processes: Processes = ALONE,
) -> Progress:
    """Train with AdamW and early stopping; leave the best weights in `model`.

    What is validated and kept is a running average of the weights (Polyak & Juditsky 1992): it is what a falling
    learning rate would lead to, without an end that must be known beforehand.

    All randomness of epoch e comes from (seed, e) alone, so a run that was interrupted after any epoch ends with
    the same weights as one that was not. Each member of an ensemble is trained as it would be alone, from a seed of its
    own; what is validated is the ensemble.

    Several processes each call this with the same arguments and end with the same weights. Batches and negatives are
    those of one process; each reads its share of a batch, with a dropout of its own.

    Args:
        model: fresh from its seed, on the CPU; trained on `params.device`, and brought back.
        sequences: the data; only training items are read.
        params: section `train`.
        validate: metrics of the model, on the CPU, on the validation targets; NDCG@10 picks the checkpoint.
        state: where an interrupted training is kept.
        processes: those that train together; the first validates and saves.

    Returns:
        The learning curve and the best validation NDCG@10.

    Raises:
        DataError: no user has two training items.
        NumericalError: the loss is not finite.
    """
    members = model.members
    counts = torch.from_numpy(sequences.training_counts(len(members[0].items)))  # [n]
    if int(counts.sum()) <= sequences.user_count:
        raise DataError(
            "no user has two training items, so there is nothing to learn", "interactions.parquet"
        )
    # Items without training are never drawn: their text alone must rank them.
    probability = (counts > 0).float() / (counts > 0).sum()  # [n]
    device = torch.device(params.device)
    model.to(device)
    optimizer = torch.optim.AdamW(
        [parameter for parameter in model.parameters() if parameter.requires_grad],
        lr=params.learning_rate,
        weight_decay=params.weight_decay,
        betas=(0.9, 0.98),
        fused=True,
    )
    frozen = members[0].items.frozen  # not copied: it may be larger than all the rest
    averaged = copy.deepcopy(model, {id(frozen): frozen})
    progress = state.restore(model, averaged, optimizer)
    progress.steps = progress.steps or [0] * len(members)
    if progress.epoch and processes.first:
        print(f"train: goes on after epoch {progress.epoch} of {params.epochs}", file=sys.stderr)
    processes.meet()  # before the first, should it have nothing left to do, can remove the state
    steps = params.epochs * len(members) * batch_count(sequences, params.history, params.batch_windows)
    with (
        tqdm(total=steps, desc="train", unit="batch", disable=None if processes.first else True) as bar,
        torch.random.fork_rng(devices=[device] if device.type == "cuda" else []),
    ):
        bar.update(progress.epoch * steps // params.epochs)
        epochs = _Epochs(sequences, params, probability, optimizer, processes, bar)
        while progress.epoch < params.epochs and progress.stale < params.patience:
            losses = []
            for number, (member, average) in enumerate(zip(members, averaged.members, strict=True)):
                generator = np.random.default_rng([params.seed + number, progress.epoch])
                loss, progress.steps[number] = epochs.run(member, average, generator, progress.steps[number])
                losses.append(loss)
            progress.epoch += 1
            if progress.epoch % params.validate_every == 0 or progress.epoch == params.epochs:
                averaged.eval().cpu()
                metrics = processes.from_first(partial(validate, averaged))
                loss = sum(losses) / len(losses)
                _record(averaged, metrics, progress, loss)
                averaged.to(device)
                bar.set_postfix(loss=f"{loss:.3f}", best=f"{progress.best_metric:.4f}")
            if processes.first:
                state.save(model, averaged, optimizer, progress)
    model.cpu().load_state_dict(progress.best)
    model.eval()
    return progress


@dataclass(frozen=True)
class _Epochs:
    """What every epoch of every member has in common."""

    sequences: Sequences
    params: TrainParams
    probability: Tensor  # float32 [n]
    optimizer: torch.optim.Optimizer
    processes: Processes
    bar: tqdm

    def run(
        self, model: SequenceModel, average: SequenceModel, generator: np.random.Generator, step: int
    ) -> tuple[float, int]:
        """Train one member for an epoch; return its mean loss, and its steps so far (before: `step`)."""
        params, processes = self.params, self.processes
        sampler = torch.Generator().manual_seed(int(generator.integers(2**63)))
        # Dropout knows no generator of its own; each process drops other components.
        torch.manual_seed(int(generator.integers(2**63)) + processes.rank)
        objective = processes.parallel(Objective(model, self.probability, params))
        objective.train()
        total, examples = 0.0, 0
        for batch in training_batches(self.sequences, params.history, params.batch_windows, generator):
            step += 1
            for group in self.optimizer.param_groups:
                group["lr"] = params.learning_rate * min(1.0, step / max(1, params.warmup_steps))
            part, weight = processes.share(batch)
            loss = objective(part, sampler) * weight
            if not torch.isfinite(loss):
                raise NumericalError(
                    f"the loss is {loss.item()} in step {step}",
                    remedy="lower train.learning_rate, or check the item vectors",
                )
            self.optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), params.gradient_clip)
            self.optimizer.step()
            _update(average, model, params.average, step)
            count = int(batch.mask.sum())
            total, examples = total + loss.item() * count, examples + count
            self.bar.update()
        return processes.mean(total) / examples, step


@torch.no_grad()
def _update(average: SequenceModel, model: SequenceModel, decay: float, step: int) -> None:
    """Move an exponential average towards the weights after a step (the first is 1).

    The first step replaces the average, and the next ones weigh more than later ones: the average forgets the random
    weights at the start.
    """
    share = 1.0 if step == 1 else max(1 - decay, 9 / (step + 9))
    for mean, weight in zip(average.parameters(), model.parameters(), strict=True):
        mean.lerp_(weight, share)


def _record(model: UserModel, metrics: dict[str, float], progress: Progress, loss: float) -> None:
    """Append a record to the curve; keep the weights if they are the best so far."""
    progress.curve.append({"epoch": progress.epoch, "train_loss": loss, **metrics})
    if metrics[CHOSEN_BY] > progress.best_metric:
        progress.best_metric, progress.stale = metrics[CHOSEN_BY], 0
        progress.best = state_of(model)
    else:
        progress.stale += 1
