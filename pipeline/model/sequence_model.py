"""The sequence model: item vectors in, user states out; one product with the item keys ranks all items."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import PreTrainedModel

from ..core.sequences import GAP_BUCKETS, UNKNOWN_GAP
from .params import Kind, TrainParams
from .phi3 import reads_one_position, state_at
from .repeats import Repeats

KEY_LENGTH = 20.0
"""Unit keys start at this length divided by √D: with states of norm √D, logits lie between -20 and 20."""
SHORTEST = 1e-3
"""Keys below this length stay shorter than other keys: near zero a key has no direction, and its gradient explodes."""


class ItemTable(nn.Module):
    """The item space of F + R dimensions: each item's frozen text vector [F] beside a learned residual [R].

    The residuals are zero, so that items differ only by their text, until training sets initial values
    (`training/start.py`). With R = 0 the table is frozen. The whitened item vectors `frozen`, float32 [n, F], are
    scaled to unit expected norm.

    In training, each call of `vectors` zeroes the residuals of a share of the items (`residual_dropout`), so that the
    model learns to use the text alone. The others are not rescaled: evaluation reads them unscaled too.
    """

    def __init__(self, frozen: NDArray[np.float32], residual_width: int, residual_dropout: float = 0.0) -> None:
        super().__init__()
        self.residual_dropout = residual_dropout
        vectors = torch.from_numpy(np.array(frozen)) / math.sqrt(frozen.shape[1])  # [n, F]
        # Not in the checkpoint: the store holds the frozen vectors, and the checkpoint records its hash.
        self.frozen: Tensor = nn.Buffer(vectors, persistent=False)
        self.residual = nn.Parameter(torch.zeros(len(frozen), residual_width))

    def __len__(self) -> int:
        return self.frozen.shape[0]

    def vectors(self, rows: Tensor | None = None) -> Tensor:
        """Return float [k, F + R], the vectors of the items `rows`, int64 [k]; None: of all n items."""
        if rows is None:
            frozen, residual = self.frozen, self.residual  # [n, F], [n, R]
        else:
            # Not `residual[rows]`: the order in which its gradient is summed depends on the threads.
            frozen, residual = self.frozen[rows], F.embedding(rows, self.residual)  # [k, F], [k, R]
        if self.training and self.residual_dropout and residual.shape[1]:
            kept = torch.rand(len(residual), 1, device=residual.device) >= self.residual_dropout  # [k, 1]
            residual = residual * kept
        return torch.cat([frozen, residual], dim=-1)  # [k, F + R]


class Pooling(nn.Module):
    """Pools hidden states causally: the user state at position t is a weighted mean of the states at s <= t.

    The weight depends only on the age t - s. `mean`: 1 (Lite-LLM4Rec, arXiv 2402.09543); `last`: 1 at age 0;
    `window`: 1 below age `window`; `recency`: exp(-rate * age) with a learned rate.
    """

    def __init__(self, kind: Kind, window: int) -> None:
        super().__init__()
        self.kind, self.window = kind, window
        if kind == "recency":
            # softplus(0) = 0.69: at first a state weighs half as much as the next younger one.
            self.rate = nn.Parameter(torch.zeros(()))

    def forward(self, states: Tensor) -> Tensor:
        """Return the user state after each position: states [B, T, D], padded on the right -> [B, T, D]."""
        if self.kind == "last":
            return states
        position = torch.arange(states.shape[1], device=states.device)
        age = position[:, None] - position[None, :]  # [T, T], of state s (column) at position t (row)
        weights = (age >= 0).to(states.dtype)  # [T, T]
        if self.kind == "window":
            weights = weights * (age < self.window)
        elif self.kind == "recency":
            weights = weights * torch.exp(-F.softplus(self.rate) * age.clamp(min=0))
        return (weights / weights.sum(-1, keepdim=True)) @ states  # [T, T] @ [B, T, D] -> [B, T, D]


class SequenceModel(nn.Module):
    """Item table → recommendation LLM → pooling → single-layer head (Lite-LLM4Rec, arXiv 2402.09543).

    The item table is made of the whitened item vectors `frozen`, float32 [n, F]; the backbone is a causal decoder with
    hidden size D. If users may take items again (`repeated`), the items of the history have a learned gain. If the data
    has `sessions`, the model ranks items that start a session: a linear layer turns the state within a session into a
    returning user's state.
    """

    def __init__(
        self,
        params: TrainParams,
        frozen: NDArray[np.float32],
        backbone: PreTrainedModel,
        repeated: bool = False,
        sessions: bool = False,
    ) -> None:
        super().__init__()
        width, item_width = backbone.config.hidden_size, frozen.shape[1] + params.residual_width  # D, F + R
        self.params = params
        self.items = ItemTable(frozen, params.residual_width, params.residual_dropout)
        self.input = nn.Linear(item_width, width)
        self.norm = nn.LayerNorm(width)
        # Starts at zero, so that gaps have no effect at first.
        self.gaps = nn.Parameter(torch.zeros(GAP_BUCKETS, width)) if params.time == "gaps" else None
        self.dropout = nn.Dropout(params.input_dropout)
        self.backbone = backbone
        self.pooling = Pooling(params.pooling.kind, params.pooling.window)
        self.head = nn.Linear(width, item_width)
        length = torch.tensor(math.log(KEY_LENGTH / math.sqrt(width)))  # logarithm of the length that all keys have
        self.key_length = nn.Parameter(length) if params.keys == "unit" else None
        self.repeats = Repeats(params.history, width, sessions) if repeated else None
        self.comeback = nn.Linear(width, width) if sessions else None
        for parameter in self.comeback.parameters() if self.comeback else ():
            nn.init.zeros_(parameter)
        # [n], set after training (training/trainer.py)
        self.key_scale: Tensor = nn.Buffer(torch.ones(len(frozen)))

    @property
    def width(self) -> int:
        """Dimensions of a user state, D."""
        return self.head.in_features

    @property
    def members(self) -> Sequence["SequenceModel"]:
        """This model alone; `Ensemble` has several members."""
        return (self,)

    def forward(self, rows: Tensor, gaps: Tensor | None = None) -> Tensor:
        """Return the user state after each position, float [B, T, D]: rows int64 [B, T], padded on the right.

        Gaps int64 [B, T] are the buckets of the time before each item (`Sequences.gaps`); None: all unknown.
        """
        items, inverse = rows.unique(return_inverse=True)  # [k], [B, T]
        # Autocast may round the inputs; in the weights' dtype, their gradients are summed without further rounding.
        inputs = self.input(self.items.vectors(items)).to(self.input.weight.dtype)  # [k, D]
        # Not `inputs[inverse]`: the order in which its gradient is summed depends on the threads.
        return self.read(self.dropout(self.with_gaps(self.norm(F.embedding(inverse, inputs)), gaps)))

    def with_gaps(self, inputs: Tensor, gaps: Tensor | None) -> Tensor:
        """Add the vectors of the gaps [B, T] to the inputs [B, T, D], if the model reads them."""
        if self.gaps is None:
            return inputs
        return inputs + (self.gaps[UNKNOWN_GAP] if gaps is None else F.embedding(gaps, self.gaps))

    def read(self, inputs: Tensor) -> Tensor:
        """Return the user state after each position: inputs [B, T, D] -> [B, T, D]."""
        return self.pooling(self.backbone(inputs_embeds=inputs).last_hidden_state)

    def session_start_state(self, states: Tensor) -> Tensor:
        """Return the states [..., D] for a next item that starts a session; without sessions, the same states."""
        return states if self.comeback is None else states + self.comeback(states)

    def item_keys(self, rows: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return keys [n, D] and biases [n] of the items `rows`, int64 [n]; None: of all items.

        With `keys: product`, `states @ keys.T + biases` equals `head(states) @ items.T`: the linear head moves to the
        item side, so a score costs D multiplications instead of F + R. With `keys: unit`, all keys are scaled to one
        learned length. After `shrink`, `key_scale` scales each key. Keys and biases share one residual dropout.
        """
        items = self.items.vectors(rows)  # [n, F + R]
        keys = items @ self.head.weight  # [n, D]
        if self.key_length is not None:
            keys = F.normalize(keys, dim=-1, eps=SHORTEST) * self.key_length.exp()
        scale = self.key_scale if rows is None else self.key_scale[rows]  # [n]
        return keys * scale[:, None], items @ self.head.bias  # [n, D], [n]

    def repeat_gains(self, states: Tensor, rows: Tensor, lengths: Tensor) -> Tensor:
        """Return the gains of all items after histories, [B, n]; a model without repeats returns a single zero.

        States [B, D]; rows and lengths as for `states`.
        """
        if self.repeats is None:
            return states.new_zeros(())
        return self.repeats(states, rows, lengths, len(self.items))

    def item_inputs(self) -> Tensor:
        """Return the backbone's input for each item, [n, D]; for evaluation mode."""
        return self.norm(self.input(self.items.vectors()))  # [n, D]

    def states(
        self, rows: Tensor, lengths: Tensor, item_inputs: Tensor | None = None, gaps: Tensor | None = None
    ) -> Tensor:
        """Return the user state after each history, [B, D]; for evaluation mode.

        Rows int64 [B, T] are padded on the right to histories of `lengths`, int64 [B]. An empty history gives the zero
        vector, which ranks by the head's bias alone. Pass the result of `item_inputs` if it is already computed;
        gaps as for `forward`.
        """
        inputs = F.embedding(rows, self.item_inputs() if item_inputs is None else item_inputs)  # [B, T, D]
        inputs = self.with_gaps(inputs, gaps)
        latest = (lengths - 1).clamp(min=0)  # [B]
        if self.pooling.kind == "last" and reads_one_position(self.backbone):
            states = state_at(self.backbone, inputs, latest)  # [B, D]
        else:
            states = self.read(inputs)[torch.arange(len(rows), device=rows.device), latest]  # [B, D]
        return self.session_start_state(states) * (lengths > 0).unsqueeze(-1)
