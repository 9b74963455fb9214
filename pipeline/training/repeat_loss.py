"""The training objective of a model with repeats: items of the history are candidates with a gain of their own.

Windows are [B, T]. At place t, the history is the window up to t; rows, targets and negatives index the keys.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from ..model.repeats import Repeats


@dataclass(frozen=True)
class Windows:
    """A batch of windows, their states and targets."""

    states: Tensor  # float [B, T, D]
    rows: Tensor  # int64 [B, T], the items
    targets: Tensor  # int64 [B, T], the next item at each place
    session_starts: Tensor | None = None  # bool [B, T], whether each target starts a session; None: no sessions


def repeat_softmax_loss(windows: Windows, keys: Tensor, biases: Tensor, repeats: Repeats) -> Tensor:
    """Return the cross-entropy over n items at each place, [B, T]: keys float [n, D], biases float [n]."""
    states, rows = windows.states, windows.rows
    there = F.one_hot(rows, len(keys)).to(states.dtype)  # [B, T, n]
    weight = repeats.training_weights(_ages(rows), windows.session_starts) @ there  # [T, T] @ [B, T, n] -> [B, T, n]
    logits = states @ keys.T + biases + repeats.gains(states, weight)  # [B, T, n]
    return F.cross_entropy(logits.transpose(1, 2), windows.targets, reduction="none")


def sampled_repeat_softmax_loss(
    windows: Windows,
    keys: Tensor,
    biases: Tensor,
    repeats: Repeats,
    negatives: Tensor,
    log_probability: Tensor,
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
