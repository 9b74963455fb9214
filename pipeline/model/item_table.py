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
        residual_dropout: share of the items whose residual training leaves out, where they are read and where they
            are ranked, each by a draw of its own. So the model learns to use text alone. The residuals that are left
            are not scaled: as they are, they will be used.
    """

    frozen: Tensor

    def __init__(self, frozen: Tensor, residual_width: int, residual_dropout: float = 0.0) -> None:
        super().__init__()
        self.residual_dropout = residual_dropout
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
        """Return the vectors of all items, float [n, F + R], or of those in `rows`, int64 [k]: [k, F + R].

        In training, some residuals are zero, drawn by each call.
        """
        if rows is None:
            frozen, residual = self.frozen, self.residual  # [n, F], [n, R]
        else:
            # Not `residual[rows]`: its gradient is summed in an order that threads decide.
            frozen, residual = self.frozen[rows], F.embedding(rows, self.residual)  # [k, F], [k, R]
        if self.training and self.residual_dropout and residual.shape[1]:
            kept = torch.rand(len(residual), 1, device=residual.device) >= self.residual_dropout  # [k, 1]
            residual = residual * kept
        return torch.cat([frozen, residual], dim=-1)  # [k, F + R]
