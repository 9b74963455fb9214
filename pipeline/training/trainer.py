"""Training of the sequence model, with early stopping on the validation targets."""

import copy
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from ..core.errors import DataError, NumericalError
from ..core.progress import track
from ..core.sequences import Sequences
from ..model.checkpoint import CHOSEN_BY, DIGITS, state_of
from ..model.ensemble import UserModel
from ..model.scorer import Scorer
from ..model.sequence_model import SequenceModel
from ..ranking.evaluator import rank_targets
from ..ranking.metrics import metrics_from_ranks
from .batches import batch_count, training_batches
from .distributed import Processes
from .objective import Objective
from .pretrained import cost, merge, parameter_groups, prepare
from .resume import Progress, TrainingState

Validate = Callable[[UserModel], dict[str, float]]
ALONE = Processes()
BATCH_USERS = 256


def validator(sequences: Sequences, candidates: NDArray[np.bool_]) -> Validate:
    """Return a function that ranks the validation targets among the candidates, bool [n], in float32."""
    histories = sequences.validation_histories()

    def validate(model: UserModel) -> dict[str, float]:
        scorer = Scorer(model, candidates, dtype=torch.float32, sequences=sequences)
        targets, more = sequences.validation, {"repeated": sequences.repeated, "users": sequences.owners}
        return metrics_from_ranks(rank_targets(scorer, histories, targets, candidates, BATCH_USERS, **more))

    return validate


def fit(
    model: UserModel,
    sequences: Sequences,
    validate: Validate | None,
    state: TrainingState,
    processes: Processes = ALONE,
) -> Progress:
    """Train with AdamW as `model.params` says; leave the best weights in `model`.

    Without validation, all epochs are trained and the weights of the last epoch are kept. With validation, the model is
    shrunk at the end (`params.shrinkage`), if its validation NDCG@10 gains by it.

    A running average of the weights is validated and kept (Polyak & Juditsky 1992). It replaces a learning-rate decay,
    which would need a known end.

    A pre-trained backbone is trained as `params.backbone.tuning` says. LoRA's products are merged into its weights at
    the end, so the model's weights have the same names as before.

    Epoch e draws all its random numbers from (seed, e), so a training resumed after any epoch ends with the same
    weights as an uninterrupted one. Members of an ensemble are trained separately, each from its own seed, and
    validated together.

    Several processes call this with the same arguments and end with the same weights. They share the batches and
    negatives of a single process, but each draws its own dropout.

    Args:
        model: on the CPU, untrained or to be trained further; moved to `train.device` for the training, and back.
        sequences: only training items are read; ``DataError`` if no user has two.
        validate: returns validation metrics of a model on the CPU; NDCG@10 picks the checkpoint. None: no validation.
        state: stores and restores the progress.
        processes: that train together; the first validates and saves.
    """
    params, members = model.params, model.members
    counts = torch.from_numpy(sequences.training_counts(len(members[0].items)))  # [n]
    if not (sequences.train_length > 1).any():
        raise DataError("no user has two training items, so there is nothing to learn", "interactions.parquet")
    # Items without training are never negatives: only their text should rank them.
    probability = (counts > 0).float() / (counts > 0).sum()  # [n]
    prepare(model)
    if params.backbone.pretrained and processes.first:
        print(f"train: {cost(model)}", file=sys.stderr)
    device = torch.device(params.device)
    model.to(device)
    groups = parameter_groups(model)
    optimizer = torch.optim.AdamW(groups, weight_decay=params.weight_decay, betas=(0.9, 0.98), fused=True)
    # Shared with the copy: they may be larger than all trained weights.
    frozen = [members[0].items.frozen, *(weight for weight in model.parameters() if not weight.requires_grad)]
    averaged = copy.deepcopy(model, {id(tensor): tensor for tensor in frozen})
    progress = state.restore(model, averaged, optimizer)
    progress.steps = progress.steps or [0] * len(members)
    if progress.epoch and processes.first:
        print(f"train: resumes after epoch {progress.epoch} of {params.epochs}", file=sys.stderr)
    processes.barrier()  # all have read the state before the first process can remove it
    batches = batch_count(sequences, params)
    steps = params.epochs * len(members) * min(batches, params.epoch_batches or batches)
    done = progress.epoch * steps // params.epochs
    with (
        track(total=steps, initial=done, desc="train", unit="batch", shown=processes.first) as bar,
        torch.random.fork_rng(devices=[device] if device.type == "cuda" else []),
    ):
        epochs = _Epochs(sequences, probability, optimizer, processes, bar)
        while progress.epoch < params.epochs and progress.stale < params.patience:
            losses = []
            for number, (member, average) in enumerate(zip(members, averaged.members, strict=True)):
                generator = np.random.default_rng([params.seed + number, progress.epoch])
                loss, progress.steps[number] = epochs.run(member, average, generator, progress.steps[number])
                losses.append(loss)
            progress.epoch += 1
            if validate is None:
                progress.best = state_of(averaged)
            elif progress.epoch % params.validate_every == 0 or progress.epoch == params.epochs:
                averaged.cpu()
                metrics = processes.from_first(partial(validate, averaged))
                loss, metric = sum(losses) / len(losses), rounded(metrics)
                progress.curve.append({"epoch": progress.epoch, "train_loss": loss, **metrics, CHOSEN_BY: metric})
                progress.stale += 1
                if metric > progress.best_metric:
                    progress.best, progress.best_metric, progress.stale = state_of(averaged), metric, 0
                averaged.to(device)
                figures = {"loss": f"{loss:.3f}", CHOSEN_BY: f"{metric:.4f}", "best": f"{progress.best_metric:.4f}"}
                bar.set_postfix({"epoch": progress.epoch, **figures})
            if processes.first:
                state.save(model, averaged, optimizer, progress)
    model.cpu().load_state_dict(progress.best)
    model.eval()
    if params.shrinkage and validate is not None:
        shrink(model, counts, params.shrinkage)
        metric = rounded(processes.from_first(partial(validate, model)))
        if metric > progress.best_metric:
            progress.best_metric, progress.shrunk = metric, True
        else:
            model.load_state_dict(progress.best)
    merge(model)
    return progress


@dataclass(frozen=True)
class _Epochs:
    """The arguments that all epochs of all members share."""

    sequences: Sequences
    probability: Tensor  # float32 [n]
    optimizer: torch.optim.Optimizer
    processes: Processes
    bar: tqdm

    def run(
        self, model: SequenceModel, average: SequenceModel, generator: np.random.Generator, step: int
    ) -> tuple[float, int]:
        """Train one member for an epoch, after `step` steps; return its mean loss and its steps so far."""
        params, processes = model.params, self.processes
        sampler = torch.Generator().manual_seed(int(generator.integers(2**63)))
        # Dropout reads torch's global generator; each process gets its own seed.
        torch.manual_seed(int(generator.integers(2**63)) + processes.rank)
        objective = processes.parallel(Objective(model, self.probability))
        objective.train()
        total, examples = 0.0, 0
        batches = training_batches(self.sequences, params, generator)
        for batch in islice(batches, params.epoch_batches):
            step += 1
            for group in self.optimizer.param_groups:
                group["lr"] = group["initial_lr"] * min(1.0, step / max(1, params.warmup_steps))
            part, weight = processes.share(batch)
            loss = objective(part, sampler) * weight
            if not torch.isfinite(loss):
                remedy = "lower train.learning_rate, or check the item vectors"
                raise NumericalError(f"the loss is {loss.item()} in step {step}", remedy=remedy)
            self.optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), params.gradient_clip)
            self.optimizer.step()
            _update(average, model, params.average, step)
            count = int(batch.mask.sum())
            total, examples = total + loss.item() * count, examples + count
            self.bar.update()
        return processes.mean(total) / examples, step


def rounded(metrics: Mapping[str, float]) -> float:
    """Return the metric that chooses, as the learning curve holds it: from the curve, `refit` reads the best epoch."""
    return round(metrics[CHOSEN_BY], DIGITS)


@torch.no_grad()
def _update(average: SequenceModel, model: SequenceModel, decay: float, step: int) -> None:
    """Update the running average after a step, counted from 1.

    Step 1 copies the weights. Early steps replace a larger share of the average, so it soon forgets the random
    initial weights.
    """
    share = 1.0 if step == 1 else max(1 - decay, 9 / (step + 9))
    for mean, weight in zip(average.parameters(), model.parameters(), strict=True):
        if weight.requires_grad:
            mean.lerp_(weight, share)


@torch.no_grad()
def shrink(model: UserModel, counts: Tensor, prior: float) -> None:
    """Shrink the residual and the key of an item with n training interactions, by c = n / (n + prior).

    Adam's steps have about the same length for any gradient, so noise makes the residual of a rarely seen item as long
    as the residuals of other items. The residual is multiplied by c. The length of the key moves towards the geometric
    mean of all trained items' lengths: its logarithm keeps c of its difference from the mean. With many interactions
    nothing changes. The model, on the CPU, is changed in place; some of the `counts`, int64 [n], are positive.
    """
    kept = counts / (counts + prior)  # [n]
    for member in model.members:
        member.items.residual.mul_(kept[:, None])
        member.key_scale.fill_(1)
        length = member.item_keys()[0].norm(dim=1)  # [n]
        typical = length[(counts > 0) & (length > 0)].log().mean().exp()
        scale = (typical / length) ** (1 - kept)  # [n]
        member.key_scale.copy_(scale.where(length > 0, torch.ones(())))
