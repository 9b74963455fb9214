"""The item space: each item's frozen text vector and, beside it, a learned residual."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class ItemTable(nn.Module):
    """Frozen vectors [n, F] next to a learned residual [n, R]; the item space has F + R dimensions.

    The residual starts at zero, so that at first items differ by their text alone. With width 0 the table is
    purely frozen.

    Args:
        frozen: float32 [n, F], whitened item vectors; scaled here to unit expected norm.
        residual_width: R.
    """

    frozen: Tensor

    def __init__(self, frozen: Tensor, residual_width: int) -> None:
        super().__init__()
        # Not in the checkpoint: the frozen vectors belong to the store, whose hash the checkpoint records.
        self.register_buffer("frozen", frozen / math.sqrt(frozen.shape[1]), persistent=False)
        self.residual = nn.Parameter(torch.zeros(frozen.shape[0], residual_width))

    def __len__(self) -> int:
        return self.frozen.shape[0]

    @property
    def width(self) -> int:
        """Dimensions of the item space, F + R."""
        return self.frozen.shape[1] + self.residual.shape[1]

    def vectors(self, rows: Tensor | None = None) -> Tensor:
        """Return the vectors of all items, [n, F + R], or of those in `rows`, int64 [k]: [k, F + R]."""
        if rows is None:
            return torch.cat([self.frozen, self.residual], dim=-1)  # [n, F + R]
        # Not `residual[rows]`: its gradient is summed in an order that threads decide.
        return torch.cat([self.frozen[rows], F.embedding(rows, self.residual)], dim=-1)  # [k, F + R]
