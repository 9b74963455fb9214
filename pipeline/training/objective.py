"""The training objective: next-item loss over all items, by exact softmax or softmax with sampled negatives."""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..model.repeats import Repeats
from ..model.sequence_model import SequenceModel
from .batches import Batch


class Windows(NamedTuple):
    """A batch of windows, their states and targets."""

    states: Tensor  # float [B, T, D]
    rows: Tensor  # int64 [B, T], the items
    targets: Tensor  # int64 [B, T], the next item at each place
    session_starts: Tensor | None = None  # bool [B, T], whether each target starts a session; None: no sessions


class Objective(nn.Module):
    """Sequence model and loss in one module.

    In bfloat16 precision, the model computes under autocast; weights, scores and loss stay float32. Negatives are drawn
    on the CPU with `probability`, float32 [n], so that a batch has the same negatives on every device.
    """

    def __init__(self, model: SequenceModel, probability: Tensor) -> None:
        super().__init__()
        self.model, self.probability = model, probability

    def forward(self, batch: Batch, sampler: torch.Generator) -> Tensor:
        """Return the mean loss over the batch's targets; `sampler` draws the same number of negatives for any batch."""
        params, device = self.model.params, self.model.items.frozen.device
        mask = torch.from_numpy(batch.mask)  # [B, T]
        targets = torch.from_numpy(batch.targets)[mask]  # [M]
        rows = torch.from_numpy(batch.rows).to(device)  # [B, T]
        gaps = None if batch.gaps is None else torch.from_numpy(batch.gaps).to(device)  # [B, T]
        with torch.autocast(device.type, torch.bfloat16, enabled=params.precision == "bfloat16"):
            states = self.model(rows, gaps)  # [B, T, D]
        states = states.float()
        starts = None if batch.session_starts is None else torch.from_numpy(batch.session_starts).to(device)  # [B, T]
        if starts is not None:
            states = torch.where(starts[..., None], self.model.session_start_state(states), states)  # [B, T, D]
        if self.model.repeats is not None:
            windows = Windows(states, rows, torch.from_numpy(batch.targets).to(device), starts)
            return self._with_repeats(windows, self.model.repeats, sampler)[mask.to(device)].mean()
        states = states[mask.to(device)]  # [M, D]
        if params.loss == "softmax":
            keys, biases = self.model.item_keys()  # [n, D], [n]
            return F.cross_entropy(states @ keys.T + biases, targets.to(device))
        negatives = self._negatives(sampler)  # [S]
        # Only keys of targets and negatives are computed: a step costs the same for any number of items.
        items, inverse = torch.cat([targets, negatives]).unique(return_inverse=True)  # [k], [M + S]
        log_probability = self.probability[items].log().to(device)  # [k]
        items, inverse = items.to(device), inverse.to(device)
        keys, biases = self.model.item_keys(items)  # [k, D], [k]
        targets, negatives = inverse[: len(targets)], inverse[len(targets) :]
        return sampled_softmax_loss(states, targets, keys, biases, negatives, log_probability)

    def _with_repeats(self, windows: Windows, repeats: Repeats, sampler: torch.Generator) -> Tensor:
        """Return the loss of a model with repeats at each place, [B, T]."""
        rows = windows.rows
        if self.model.params.loss == "softmax":
            return repeat_softmax_loss(windows, *self.model.item_keys(), repeats)
        negatives = self._negatives(sampler).to(rows.device)  # [S]
        parts = [part.flatten() for part in (rows, windows.targets, negatives)]
        items, inverse = torch.cat(parts).unique(return_inverse=True)  # [k], [2 B T + S]
        rows, targets = inverse[: -len(negatives)].view(2, *rows.shape)  # [B, T] each
        log_probability = self.probability[items.cpu()].log().to(rows.device)  # [k]
        keys, biases = self.model.item_keys(items)  # [k, D], [k]
        windows, negatives = windows._replace(rows=rows, targets=targets), inverse[-len(negatives) :]
        return sampled_repeat_softmax_loss(windows, keys, biases, repeats, negatives, log_probability)

    def _negatives(self, sampler: torch.Generator) -> Tensor:
        """Draw negatives, int64 [S]."""
        return torch.multinomial(self.probability, self.model.params.negatives, replacement=True, generator=sampler)


def sampled_softmax_loss(
    states: Tensor, targets: Tensor, keys: Tensor, biases: Tensor, negatives: Tensor, log_probability: Tensor
) -> Tensor:
    """Return the mean cross-entropy with the partition sum estimated from S negatives, shared by the batch.

    Importance sampling: an item drawn S times with probability q stands for 1 / (S q) items, so its logit gets
    -log(S q) (Bengio & Senécal 2008, doi 10.1109/TNN.2007.912312). A negative equal to the target is masked.
    States [M, D], targets int64 [M], keys [n, D], biases [n]; negatives int64 [S], drawn with replacement;
    log_probability [n], log q.
    """
    # Not `keys[targets]`: the order in which its gradient is summed depends on the threads.
    target_keys, target_biases = F.embedding(targets, keys), biases.index_select(0, targets)  # [M, D], [M]
    negative_keys = F.embedding(negatives, keys)  # [S, D]
    negative_biases = biases.index_select(0, negatives)  # [S]
    positive = (states * target_keys).sum(-1) + target_biases  # [M]
    correction = log_probability[negatives] + math.log(len(negatives))  # [S]
    sampled = states @ negative_keys.T + (negative_biases - correction)  # [M, S]
    sampled = sampled.masked_fill(targets[:, None] == negatives[None, :], -torch.inf)
    total = torch.logsumexp(torch.cat([positive[:, None], sampled], dim=1), dim=1)  # [M]
    return (total - positive).mean()


def repeat_softmax_loss(windows: Windows, keys: Tensor, biases: Tensor, repeats: Repeats) -> Tensor:
    """Return the cross-entropy over n items at each place of windows, [B, T], for a model with repeats.

    At place t, the history is the window up to t. Its items are candidates with a gain of their own. Rows and targets
    index the keys [n, D] and biases [n].
    """
    states, rows = windows.states, windows.rows
    there = F.one_hot(rows, len(keys)).to(states.dtype)  # [B, T, n]
    weight = repeats.training_weights(_ages(rows), windows.session_starts) @ there  # [T, T] @ [B, T, n] -> [B, T, n]
    logits = states @ keys.T + biases + repeats.gains(states, weight)  # [B, T, n]
    return F.cross_entropy(logits.transpose(1, 2), windows.targets, reduction="none")


def sampled_repeat_softmax_loss(
    windows: Windows, keys: Tensor, biases: Tensor, repeats: Repeats, negatives: Tensor, log_probability: Tensor
) -> Tensor:
    """Return an estimate of `repeat_softmax_loss`; negatives and log_probability as for `sampled_softmax_loss`.

    The items of the history are counted exactly. Sampled negatives stand for all other items.
    """
    states, rows, targets = windows.states, windows.rows, windows.targets
    ages = _ages(rows)  # [T, T]
    weights = repeats.training_weights(ages, windows.session_starts)  # [T, T], or [B, T, T] with sessions
    past = ages >= 0  # [T, T]
    same = (rows[:, :, None] == rows[:, None, :]).to(states.dtype)  # [B, T, T]
    is_target = rows[:, None, :] == targets[:, :, None]  # [B, T, T], place s has the target of place t
    window_keys = F.embedding(rows, keys)  # [B, T, D]
    # An item at several places is one candidate, so each place has its share of it.
    places = (past.to(states.dtype) @ same).clamp(min=1)  # [B, T, T]
    own = states @ window_keys.transpose(1, 2) + biases[rows][:, None]  # [B, T, T]
    own = own + repeats.gains(states, weights @ same) - places.log()  # [B, T, T]
    own = own.masked_fill(~past | is_target, -torch.inf)
    correction = log_probability[negatives] + math.log(len(negatives))  # [S]
    sampled = states @ F.embedding(negatives, keys).T + (biases[negatives] - correction)  # [B, T, S]
    seen = (rows[:, :, None] == negatives).cumsum(1) > 0  # [B, T, S]
    sampled = sampled.masked_fill(seen | (targets[:, :, None] == negatives), -torch.inf)
    positive = (states * F.embedding(targets, keys)).sum(-1) + biases[targets]  # [B, T]
    positive = positive[..., None] + repeats.gains(states, (weights * is_target).sum(-1, keepdim=True))  # [B, T, 1]
    total = torch.cat([positive, own, sampled], dim=-1).logsumexp(-1)  # [B, T]
    return total - positive.squeeze(-1)


def _ages(rows: Tensor) -> Tensor:
    """Return the age of place s (column) at place t (row), int64 [T, T]; negative for later places."""
    place = torch.arange(rows.shape[1], device=rows.device)
    return place[:, None] - place
