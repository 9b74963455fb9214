"""The hierarchical model as ONNX: onnxruntime recommends with it, without this package and without torch."""

import logging
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..core.errors import MachineError, ModelError
from ..core.files import atomic_directory, write_json
from ..model.checkpoint import load_model
from ..model.ensemble import UserModel
from ..rag.checkpoint import inputs_for_use
from ..serving.artifacts import model_folder
from .export import MODEL

TOWER, KEYS, IDS, CONFIG = MODEL
TOLERANCE = 1e-5  # most that a score may differ from torch's, relative to the largest score
DYNAMIC = torch.export.Dim.DYNAMIC


class _Tower(nn.Module):
    """Items int64 [B, T], padded on the right, and lengths int64 [B] -> user states [B, D]."""

    def __init__(self, model: UserModel) -> None:
        super().__init__()
        self.model, self.inputs = model, nn.Buffer(model.item_inputs().detach())  # [n, D]

    def forward(self, items: Tensor, lengths: Tensor) -> Tensor:
        return self.model.states(items, lengths, self.inputs)


class _Keys(nn.Module):
    """User states [B, D] and the items and lengths of `_Tower` -> scores [B, n]; -inf: never recommended."""

    def __init__(self, model: UserModel, candidates: Tensor) -> None:
        super().__init__()
        keys, biases = model.item_keys()  # [n, D], [n]
        self.model, self.keys = model, nn.Buffer(keys.detach())
        self.biases = nn.Buffer(biases.detach().masked_fill(~candidates, -torch.inf))

    def forward(self, states: Tensor, items: Tensor, lengths: Tensor) -> Tensor:
        return states @ self.keys.T + self.biases + self.model.repeat_gains(states, items, lengths)


def export_onnx(artifacts: Path, out: Path) -> None:
    """Write the model of variant `hierarchical` as a folder of the files `MODEL`, as a whole, replacing `out`.

    The model is the one that `hierrec recommend --variant hierarchical` takes: `models/final`, where it is there.
    docs/serving.md describes the files.

    Raises:
        MachineError: a package of the extra `onnx` is not installed.
        ModelError: onnxruntime gives other scores than torch.
        DataError, StoreError, CheckpointError: an artifact is missing or damaged.
    """
    try:
        import onnxruntime
        import onnxscript  # noqa: F401
    except ImportError as error:
        what = f"ONNX needs the package {error.name}, which is not installed"
        raise MachineError(what, remedy="pip install 'hierrec[onnx]'") from None
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it warns of packages that nothing here needs
    folder = model_folder(artifacts, "hierarchical")
    inputs = inputs_for_use(folder, artifacts / "data", artifacts / "item_embeddings")
    base = folder / "base"  # of a folder with both variants
    model = load_model(base if base.is_dir() else folder, inputs.frozen, inputs.store_hash)
    history, repeated = model.params.history, inputs.sequences.repeated
    tower, keys = _Tower(model).eval(), _Keys(model, torch.from_numpy(inputs.candidates)).eval()
    # Sizes above 1, as torch takes 1 for a constant.
    items = torch.from_numpy(np.random.default_rng(0).integers(0, len(inputs.items), (3, min(7, history))))
    lengths = torch.tensor([items.shape[1], 1, 0])
    with atomic_directory(out) as temporary, torch.no_grad():
        shapes = {"items": {0: DYNAMIC, 1: DYNAMIC}, "lengths": {0: DYNAMIC}}
        _write(tower, (items, lengths), shapes, "states", temporary / TOWER)
        given, shapes = (tower(items, lengths), items, lengths), {"states": {0: DYNAMIC}, **shapes}
        _write(keys, given, shapes, "scores", temporary / KEYS)
        write_json(temporary / IDS, inputs.items["item_id"].to_list())
        write_json(temporary / CONFIG, {"history": history, "repeated": repeated})
        run = [onnxruntime.InferenceSession(temporary / name).run for name in (TOWER, KEYS)]
        for batch, count in ((items, lengths), (items[:1, :1], lengths[1:2]), (items[:2, :2], lengths[1:])):
            given = {"items": batch.numpy(), "lengths": count.numpy()}
            (found,) = run[0](None, given)
            (found,) = run[1](None, {"states": found, **given})
            expected = keys(tower(batch, count), batch, count).numpy()
            largest = np.abs(expected, where=np.isfinite(expected), out=np.zeros_like(expected)).max()
            if not np.allclose(np.asarray(found), expected, rtol=0, atol=TOLERANCE * max(1, largest)):
                raise ModelError("onnxruntime computes other scores than torch", str(out), "use another backbone")


def _write(module: nn.Module, arguments: tuple[Tensor, ...], shapes: dict[str, Any], output: str, path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch about itself
        # Strict, because a non-strict export takes lengths for constants.
        exported = torch.export.export(module, arguments, dynamic_shapes=shapes, strict=True)
        program = torch.onnx.export(
            exported, input_names=list(shapes), output_names=[output], dynamo=True, verbose=False
        )
    assert program is not None
    for node in program.model.graph:
        node.metadata_props.clear()  # names files of this machine
    program.save(path)
