"""Several sequence models that rank together, as one model whose user vector is as wide as theirs side by side."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .params import TrainParams
from .sequence_model import SequenceModel


class Ensemble(nn.Module):
    """Ranks by the mean of its members' logits (deep ensembles, Lakshminarayanan et al. 2017, arXiv 1612.01474).

    A logit is a product of a user with a key, so a mean of logits is one too: of the members' users side by side with
    their keys side by side, divided by their number. Ranking, retrieval and fusion read an ensemble as they read one
    model, of M times its width.

    The members differ by their seeds, from which come their starts, the order in which they read the data and their
    dropout; they share the frozen vectors, until the ensemble is moved to another device or type.

    Args:
        members: M models of one shape over the same items.
    """

    def __init__(self, members: Sequence[SequenceModel]) -> None:
        super().__init__()
        self.members: Sequence[SequenceModel] = nn.ModuleList(members)  # type: ignore[assignment]
        for member in members[1:]:
            member.items.frozen = members[0].items.frozen

    @property
    def params(self) -> TrainParams:
        """Section `train` of the whole."""
        return self.members[0].params

    @property
    def history(self) -> int:
        """Items of a history that the model reads at most, the latest."""
        return self.params.history

    @property
    def width(self) -> int:
        """Dimensions of a user, M * D."""
        return sum(member.width for member in self.members)

    def forward(self, rows: Tensor) -> Tensor:
        """Read sequences of items, int64 [B, T], as `SequenceModel.forward`: float [B, T, M * D]."""
        return torch.cat([member(rows) for member in self.members], -1)

    def item_keys(self, rows: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return keys [n, M * D] and biases [n], with which a product is the mean of the members' logits."""
        keys, biases = zip(*(member.item_keys(rows) for member in self.members), strict=True)
        return torch.cat(keys, -1) / len(keys), torch.stack(biases).mean(0)

    def item_inputs(self) -> Tensor:
        """Return what the backbones read of each item, [n, M * D]; the model is in evaluation mode."""
        return torch.cat([member.item_inputs() for member in self.members], -1)

    def users(self, rows: Tensor, lengths: Tensor, item_inputs: Tensor | None = None) -> Tensor:
        """Return the user after the last item of each history, [B, M * D], as `SequenceModel.users`."""
        inputs = self.item_inputs() if item_inputs is None else item_inputs  # [n, M * D]
        parts = inputs.split([member.width for member in self.members], -1)  # M of [n, D]
        users = [member.users(rows, lengths, part) for member, part in zip(self.members, parts, strict=True)]
        return torch.cat(users, -1)


UserModel = SequenceModel | Ensemble
"""What reads a history and ranks the catalogue with one product."""


def together(members: Sequence[SequenceModel]) -> UserModel:
    """Return the model of these members: an ensemble, or the one that there is."""
    return Ensemble(members) if len(members) > 1 else members[0]
