"""Pooling of hidden states: the user state is a mean of the states so far, in which older states weigh less."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .params import PoolingKind

DOUBLINGS = 5
REACH = 2**DOUBLINGS
"""Latest states that `recency` pools."""
START = math.log(math.expm1(2))
"""Initial rate of `recency`: the previous state weighs exp(-2)."""


class Pooling(nn.Module):
    """Pools hidden states causally: the user state at position t is a weighted mean of the states at s <= t.

    The weight depends on the age t - s. `mean`: 1 (Lite-LLM4Rec, arXiv 2402.09543); `last`: 1 at age 0; `window`: 1
    below age `window`; `recency`: d^age below age `REACH`, where each of the D dimensions has a learned decay d between
    0 and 1.
    """

    def __init__(self, kind: PoolingKind, window: int, width: int) -> None:
        super().__init__()
        self.kind = kind
        self.reach = {"last": 1, "window": window, "recency": REACH}.get(kind)
        """Latest states with a weight; None: all."""
        if kind == "recency":
            self.rate = nn.Parameter(torch.full((width,), START))

    @property
    def decay(self) -> Tensor:
        """The factor by which the weight falls with each step of age, [D]; 1 without a learned decay."""
        return torch.sigmoid(-self.rate) if self.kind == "recency" else torch.ones(())

    def forward(self, states: Tensor) -> Tensor:
        """Return the user state after each position: states [B, T, D], padded on the right -> [B, T, D]."""
        if self.kind == "last":
            return states
        if self.kind == "recency":
            sums = self._sums(torch.cat([states, torch.ones_like(states[:1])]))  # [B + 1, T, D]
            return sums[:-1] / sums[-1:]
        position = torch.arange(states.shape[1], device=states.device)
        age = position[:, None] - position[None, :]  # [T, T]
        weights = ((age >= 0) & (age < (self.reach or len(age)))).to(states.dtype)
        return weights / weights.sum(-1, keepdim=True) @ states  # [T, T] @ [B, T, D]

    def _sums(self, states: Tensor) -> Tensor:
        """Return the sums of the latest `REACH` states, weighted by age: [B, T, D] -> [B, T, D].

        If sums of k states are known, a sum of 2k states is the sum of k states and the decayed sum k positions before.
        """
        for count in (2**step for step in range(DOUBLINGS)):
            earlier = F.pad(states * self.decay**count, (0, 0, count, 0))  # [B, count + T, D]
            states = states + earlier[:, : states.shape[1]]
        return states

    def latest(self, states: Tensor, lengths: Tensor) -> Tensor:
        """Return the user state [B, D] of the latest R states [B, R, D], latest first.

        Of a sequence of `lengths` states, int64 [B], only so many are read. R is at most `reach`.
        """
        age = torch.arange(states.shape[1], device=states.device)[:, None]  # [R, 1]
        weights = self.decay**age * (age < lengths.clamp(min=1)[:, None, None])  # [B, R, D]
        return (states * weights).sum(1) / weights.sum(1)
