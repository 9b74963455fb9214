"""Repeats: the gain in score of the history's items, for data in which users take items again."""

import torch
from torch import Tensor, nn


class Repeats(nn.Module):
    """Learns how likely users are to take an item again.

    An item at the ages a of the history gains log Σ exp(log_weight[a]), and a term linear in the user state; the latest
    item has age 0. So each place adds to the gain, as in the repeat mode of RepeatNet (Ren et al. 2019, arXiv
    1812.02646). Ages 1 to 2 share a weight, as do ages 3 to 6, 7 to 14, and so on. All weights start at zero: at first,
    an item that the history has once gains nothing.

    In data with `sessions`, these are the gains of a next item that starts a session. A next item within a session has
    its own weights, which only the training reads. The model reads `history` items; a user state has D = `width`.
    """

    def __init__(self, history: int, width: int, sessions: bool = False) -> None:
        super().__init__()
        bins = torch.log2(torch.arange(1, history + 1).double()).long()
        self.bins: Tensor = nn.Buffer(bins, persistent=False)  # [history], of each age
        self.log_weight = nn.Parameter(torch.zeros(int(bins[-1]) + 1))
        self.within = nn.Parameter(torch.zeros_like(self.log_weight)) if sessions else None
        self.tendency = nn.Parameter(torch.zeros(width))

    def weights(self, ages: Tensor, log_weight: Tensor | None = None) -> Tensor:
        """Return the weights of ages below `history`, int64 of any shape; 0 for negative ages."""
        log_weight = self.log_weight if log_weight is None else log_weight
        return log_weight[self.bins[ages.clamp(min=0)]].exp() * (ages >= 0)

    def training_weights(self, ages: Tensor, starts: Tensor | None) -> Tensor:
        """Return the weights of ages, int64 [T, T], at each place of windows: [B, T, T], or [T, T] without sessions.

        Starts, bool [B, T], say whether the next item starts a session.
        """
        weights = self.weights(ages)  # [T, T]
        if self.within is None or starts is None:
            return weights
        return torch.where(starts[..., None], weights, self.weights(ages, self.within))

    def gains(self, states: Tensor, weight: Tensor) -> Tensor:
        """Return the gains of items [..., n] for states [..., D]; `weight` [..., n] is summed over each item's places.

        An item without a place gains nothing.
        """
        gains = weight.clamp(min=1e-30).log() + (states @ self.tendency)[..., None]  # [..., n]
        return gains * (weight > 0)

    def forward(self, states: Tensor, rows: Tensor, lengths: Tensor, items: int) -> Tensor:
        """Return the gains of all items, [B, items], after histories.

        States are [B, D]; rows int64 [B, T] are padded on the right to histories of `lengths`, int64 [B].
        """
        ages = lengths[:, None] - 1 - torch.arange(rows.shape[1], device=rows.device)  # [B, T]
        weight = states.new_zeros(len(rows), items).scatter_add(1, rows, self.weights(ages))  # [B, items]
        return self.gains(states, weight)
