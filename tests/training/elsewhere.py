"""`python -m tests.training.elsewhere FOLDER`: training and encoding on a device that is not the CPU, as JSON.

The device computes on the CPU, so its numbers are the CPU's. Like a GPU, it refuses an operation that mixes tensors
of two devices. Registering it changes torch for the whole process, so this is a process of its own.
"""

import json
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_leaves, tree_map_only
from torch.utils.backend_registration import _DummyBackendModule, _setup_privateuseone_for_python_backend

from tests.encode.encoders import item_encoder
from tests.encode.tiny_models import TEXTS
from tests.training.several import train

NAME = "elsewhere"
COPIES = (torch.ops.aten._to_copy.default, torch.ops.aten.copy_.default)
"""The operations that may read one device and write to another."""
PLACES: dict[str, set[str]] = defaultdict(set)
"""Devices of each operation."""


class Backend(_DummyBackendModule):
    """What torch asks about the device."""

    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        """Return what autocast may round to."""
        return [torch.bfloat16]


class Elsewhere(Tensor):
    """A tensor of the device; `inside` is its CPU tensor."""

    inside: Tensor

    @staticmethod
    def __new__(cls, inside: Tensor) -> "Elsewhere":
        """Put a tensor of the CPU on the device."""
        outside = Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
            cls,
            inside.size(),
            inside.stride(),
            inside.storage_offset(),
            dtype=inside.dtype,
            device=torch.device(NAME, 0),
        )
        outside.inside = inside
        return outside

    @classmethod
    def __torch_dispatch__(cls, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """As `compute`; torch calls this where it computes gradients in a thread of its own."""
        return compute(operation, args, kwargs or {})


class Everywhere(TorchDispatchMode):
    """Calls `compute` for every operation, so that new tensors can be made on the device."""

    def __torch_dispatch__(self, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """As `compute`."""
        return compute(operation, args, kwargs or {})


def compute(operation: Any, args: Any, kwargs: Any) -> Any:
    """Compute on the CPU; the result is on the device where the tensors are, or where `device` says so.

    Raises:
        RuntimeError: some tensors are on the device and others are not, but for single numbers.
    """
    if operation is torch.ops.aten.to.dtype_layout:  # in inference mode it arrives as it was called
        operation = torch.ops.aten._to_copy.default
    tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
    there = [isinstance(tensor, Elsewhere) for tensor in tensors]
    if operation not in COPIES and any(there):
        for tensor in tensors:
            if tensor.dim() and not isinstance(tensor, Elsewhere):
                raise RuntimeError(f"{operation} mixes devices")
    on_device = there[0] if operation in COPIES else any(there)
    inner_args, inner_kwargs = tree_map_only(Elsewhere, lambda tensor: tensor.inside, (args, kwargs))
    if kwargs.get("device") is not None:
        on_device = torch.device(kwargs["device"]).type == NAME
        inner_kwargs["device"] = "cpu"
    PLACES[str(operation)].add(NAME if on_device else "cpu")
    result = operation(*inner_args, **inner_kwargs)
    if not on_device or operation is torch.ops.aten._local_scalar_dense.default:
        return result
    return return_and_correct_aliasing(operation, args, kwargs, tree_map_only(Tensor, Elsewhere, result))


def main(folder: Path) -> None:
    """Train on the CPU and on the device, there in one go and in two; encode on both."""
    _setup_privateuseone_for_python_backend(NAME, Backend())
    results: dict[str, Any] = {}
    for loss in ("sampled_softmax", "softmax"):
        results[f"cpu, {loss}"] = train(folder / loss, {"loss": loss}, None, False)
        with Everywhere():
            there = {"loss": loss, "device": NAME}
            results[f"there, {loss}"] = train(folder / f"{loss}-there", there, None, False)
    with Everywhere():
        train(folder / "parts", {"device": NAME, "epochs": 2}, None, False)
        results["there, in two parts"] = train(folder / "parts", {"device": NAME}, None, False)
    results["vectors"] = item_encoder("t5-nano", 32).encode(TEXTS, 64).tolist()
    with Everywhere():
        results["vectors there"] = item_encoder("t5-nano", 32, device=NAME).encode(TEXTS, 64).tolist()
    places = {operation: sorted(where) for operation, where in PLACES.items()}
    print(json.dumps(results | {"places": places}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
