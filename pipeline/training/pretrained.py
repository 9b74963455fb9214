"""Training of a pre-trained backbone: in full, by LoRA or not at all, with a learning rate of its own."""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..core.errors import ModelError
from ..model.ensemble import UserModel

RANK = 8
SCALE = 2.0  # rank and weight of the product that LoRA adds to a layer


class LoRALinear(nn.Module):
    """A frozen linear layer, plus a trained product of two narrow matrices that starts at zero.

    LoRA, Hu et al. 2021 (arXiv 2106.09685). `down` [r, in] is drawn from torch's global generator; `up` is [out, r].
    """

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.linear = linear
        self.down = nn.Parameter(torch.randn(RANK, linear.in_features) / math.sqrt(linear.in_features))
        self.up = nn.Parameter(torch.zeros(linear.out_features, RANK))

    def forward(self, inputs: Tensor) -> Tensor:
        """Return [..., out] for inputs [..., in]."""
        return self.linear(inputs) + SCALE * F.linear(F.linear(inputs, self.down), self.up)

    @torch.no_grad()
    def merged(self) -> nn.Linear:
        """Add the product to the layer's weights, and return the layer."""
        self.linear.weight += SCALE * self.up @ self.down
        return self.linear


def prepare(model: UserModel) -> None:
    """Freeze the backbones where `train.backbone.tuning` says so, and add LoRA's layers; `merge` reverts both.

    Member m draws its LoRA layers from `seed + m`. A backbone that is trained in full stays as it is. Raises
    ``ModelError`` if LoRA finds no linear layer.
    """
    params, tuning = model.params, model.params.backbone.tuning
    if tuning == "full":
        return
    for number, member in enumerate(model.members):
        backbone = member.backbone.requires_grad_(False)
        if tuning == "frozen":
            continue
        layers = [name for name, layer in backbone.named_modules() if type(layer) is nn.Linear]
        if not layers:
            what = f"{backbone.config.model_type} has no linear layers, to which LoRA could add"
            raise ModelError(what, "params.yaml, key train.backbone.tuning", "set it to full or frozen")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(params.seed + number)
            for name in layers:
                backbone.set_submodule(name, LoRALinear(backbone.get_submodule(name)))  # type: ignore[arg-type]


def merge(model: UserModel) -> None:
    """Make the backbones plain models of transformers again, with the same states up to rounding."""
    for member in model.members:
        for name, layer in list(member.backbone.named_modules()):
            if isinstance(layer, LoRALinear):
                member.backbone.set_submodule(name, layer.merged())
        member.backbone.requires_grad_(True)


def parameter_groups(model: UserModel) -> list[dict[str, Any]]:
    """Return the trained weights as groups of an optimizer, each with its learning rate `initial_lr`."""
    params = model.params
    rates: dict[float, list[nn.Parameter]] = {}
    for name, weight in model.named_parameters():
        if weight.requires_grad:
            own = params.backbone.learning_rate if "backbone." in name else None
            rates.setdefault(own or params.learning_rate, []).append(weight)
    return [{"params": weights, "lr": rate, "initial_lr": rate} for rate, weights in rates.items()]


def cost(model: UserModel) -> str:
    """Say how many weights there are, how many are trained, and how much memory training needs for them."""
    sizes = [(weight.numel(), weight.requires_grad) for weight in model.parameters()]
    total, trained = sum(size for size, _ in sizes), sum(size for size, is_trained in sizes if is_trained)
    # All weights: the model and the best so far. Trained weights also have an average, a gradient and two moments.
    mebibytes = 4 * (2 * total + 4 * trained) / 2**20
    return (
        f"{total:,} weights, {trained:,} of them trained; weights, gradients and optimizer take"
        f" {mebibytes:,.0f} MiB, plus the activations"
    )
