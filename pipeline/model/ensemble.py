"""Several sequence models that rank as one model."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .params import TrainParams
from .sequence_model import SequenceModel


class Ensemble(nn.Module):
    """Ranks by the mean logits of M models of one shape (deep ensembles, Lakshminarayanan 2017, arXiv 1612.01474).

    A logit is the product of a user state and an item key. The mean of the members' logits is therefore the product of
    their concatenated states and concatenated keys, divided by M. Ranking, retrieval and fusion see one model of width
    M * D. The members differ by their seed: initial weights, data order and dropout. They share the frozen vectors
    until the ensemble is moved to another device or dtype.
    """

    def __init__(self, members: Sequence[SequenceModel]) -> None:
        super().__init__()
        self.members: Sequence[SequenceModel] = nn.ModuleList(members)  # type: ignore[assignment]
        for member in members[1:]:
            member.items.frozen = members[0].items.frozen

    @property
    def params(self) -> TrainParams:
        """Section `train`, with the first member's seed."""
        return self.members[0].params

    @property
    def width(self) -> int:
        """Dimensions of a user state, M * D."""
        return sum(member.width for member in self.members)

    def item_keys(self, rows: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return keys [n, M * D] and biases [n]; see `SequenceModel.item_keys`."""
        keys, biases = zip(*(member.item_keys(rows) for member in self.members), strict=True)
        return torch.cat(keys, -1) / len(keys), torch.stack(biases).mean(0)

    def repeat_gains(self, states: Tensor, rows: Tensor, lengths: Tensor) -> Tensor:
        """Return the mean of the members' gains; see `SequenceModel.repeat_gains`."""
        parts = states.split([member.width for member in self.members], -1)  # M of [B, D]
        gains = [member.repeat_gains(part, rows, lengths) for member, part in zip(self.members, parts, strict=True)]
        return torch.stack(gains).mean(0)

    def item_inputs(self) -> Tensor:
        """Return the members' backbone inputs side by side, [n, M * D]; for evaluation mode."""
        return torch.cat([member.item_inputs() for member in self.members], -1)

    def states(
        self, rows: Tensor, lengths: Tensor, item_inputs: Tensor | None = None, gaps: Tensor | None = None
    ) -> Tensor:
        """Return the user states after each history, [B, M * D]; see `SequenceModel.states`."""
        inputs = self.item_inputs() if item_inputs is None else item_inputs  # [n, M * D]
        parts = inputs.split([member.width for member in self.members], -1)  # M of [n, D]
        states = [member.states(rows, lengths, part, gaps) for member, part in zip(self.members, parts, strict=True)]
        return torch.cat(states, -1)


UserModel = SequenceModel | Ensemble  # turns a history into a user state, and ranks all items with one product


def together(members: Sequence[SequenceModel]) -> UserModel:
    """Return an ensemble of the members, or the only member itself."""
    return Ensemble(members) if len(members) > 1 else members[0]
