"""The sequence model: item vectors in, users out, one product with the item table to rank."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import PreTrainedModel

from .item_table import ItemTable
from .params import TrainParams
from .phi3 import reads_one_position, state_at
from .pooling import Pooling


class SequenceModel(nn.Module):
    """Item table → recommendation LLM → pooling → single-layer head (Lite-LLM4Rec, arXiv 2402.09543).

    Args:
        params: section `train`.
        items: the item space, n items of F + R dimensions.
        backbone: causal decoder with hidden size D.
    """

    def __init__(self, params: TrainParams, items: ItemTable, backbone: PreTrainedModel) -> None:
        super().__init__()
        width = backbone.config.hidden_size
        self.params = params
        self.items = items
        self.input = nn.Linear(items.width, width)
        self.norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(params.input_dropout)
        self.backbone = backbone
        self.pooling = Pooling(params.pooling.kind, params.pooling.window)
        self.head = nn.Linear(width, items.width)

    @property
    def width(self) -> int:
        """Dimensions of a user, D."""
        return self.head.in_features

    @property
    def history(self) -> int:
        """Items of a history that the model reads at most, the latest."""
        return self.params.history

    @property
    def members(self) -> Sequence["SequenceModel"]:
        """The models that rank together (`Ensemble`): this one alone."""
        return (self,)

    def forward(self, rows: Tensor) -> Tensor:
        """Read sequences of items.

        Args:
            rows: int64 [B, T], item rows; padding may only stand behind a sequence's end.

        Returns:
            float [B, T, D], the user as known after each position.
        """
        items, places = rows.unique(return_inverse=True)  # [k], [B, T]
        # Rounded by autocast, but gathered in the weights' precision: the gradients of an item's places are summed.
        inputs = self.input(self.items.vectors(items)).to(self.input.weight.dtype)  # [k, D]
        # Not `inputs[places]`: its gradient is summed in an order that threads decide.
        return self._read(self.dropout(self.norm(F.embedding(places, inputs))))

    def _read(self, inputs: Tensor) -> Tensor:
        """Return the user after each position: inputs [B, T, D] -> [B, T, D]."""
        return self.pooling(self.backbone(inputs_embeds=inputs).last_hidden_state)

    def item_keys(self, rows: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return keys [n, D] and biases [n] with `users @ keys.T + biases == head(users) @ items.T`.

        The head is linear, so it can be moved to the item side: a score then costs D products, not F + R. In training,
        the items' vectors are those of one call of `ItemTable.vectors`.

        Args:
            rows: int64 [n], the items; None: all.
        """
        items = self.items.vectors(rows)  # [n, F + R]
        return items @ self.head.weight, items @ self.head.bias  # [n, D], [n]

    def item_inputs(self) -> Tensor:
        """Return what the backbone reads of each item, [n, D]; the model is in evaluation mode."""
        return self.norm(self.input(self.items.vectors()))  # [n, D]

    def users(self, rows: Tensor, lengths: Tensor, item_inputs: Tensor | None = None) -> Tensor:
        """Return the user after the last item of each history, [B, D]; the model is in evaluation mode.

        An empty history (length 0) gives the zero vector, which ranks by the head's bias alone.

        Args:
            rows: int64 [B, T], item rows; padding may only stand behind a history's end.
            lengths: int64 [B], items in each history.
            item_inputs: what `item_inputs` returned, if it is known already.
        """
        inputs = F.embedding(rows, self.item_inputs() if item_inputs is None else item_inputs)  # [B, T, D]
        latest = (lengths - 1).clamp(min=0)  # [B]
        if self.pooling.kind == "last" and reads_one_position(self.backbone):
            users = state_at(self.backbone, inputs, latest)  # [B, D]
        else:
            users = self._read(inputs)[torch.arange(len(rows), device=rows.device), latest]  # [B, D]
        return users * (lengths > 0).unsqueeze(-1)
