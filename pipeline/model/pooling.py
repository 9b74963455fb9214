"""From hidden states to users: causal pooling at every position of a sequence."""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Kind = Literal["mean", "last", "window", "recency"]


class Pooling(nn.Module):
    """The user at position t is a weighted mean of the hidden states at positions s <= t.

    The weight depends on the age t - s alone:
    `mean`: 1 (Lite-LLM4Rec, arXiv 2402.09543); `last`: 1 at age 0; `window`: 1 below age `window`;
    `recency`: exp(-rate * age) with a learned rate.
    """

    def __init__(self, kind: Kind, window: int) -> None:
        super().__init__()
        self.kind, self.window = kind, window
        if kind == "recency":
            # softplus(0) = 0.69: at first a state weighs half as much as the next younger one.
            self.rate = nn.Parameter(torch.zeros(()))

    def forward(self, states: Tensor) -> Tensor:
        """Pool causally.

        Args:
            states: [B, T, D]; padding may only stand behind a sequence's end.

        Returns:
            [B, T, D], the user as known after each position.
        """
        if self.kind == "last":
            return states
        return self._weights(states) @ states  # [T, T] @ [B, T, D] -> [B, T, D]

    def _weights(self, states: Tensor) -> Tensor:
        """Return the row-normalised weights [T, T] of state s (column) for the user at t (row)."""
        position = torch.arange(states.shape[1], device=states.device)
        age = position[:, None] - position[None, :]  # [T, T]
        past = (age >= 0).to(states.dtype)
        if self.kind == "mean":
            weights = past
        elif self.kind == "window":
            weights = past * (age < self.window)
        else:
            weights = past * torch.exp(-F.softplus(self.rate) * age.clamp(min=0))
        return weights / weights.sum(-1, keepdim=True)
