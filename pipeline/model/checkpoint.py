"""A trained recommender on disk: `model.safetensors` and `config.json`."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save
from torch import nn
from transformers import AutoConfig, PreTrainedConfig, PreTrainedModel

from ..core.errors import CheckpointError, DataError, OutOfMemoryError, memory_needed
from ..core.files import CHECKSUMS, atomic_directory, check_seal, read_json, seal, write_json
from .backbone import build_backbone, empty_backbone
from .curve import CURVE, Curve, write_curve
from .ensemble import UserModel, together
from .item_table import ItemTable
from .params import TrainParams
from .sequence_model import SequenceModel

SCHEMA_VERSION = 2
REMEDY = "run `dvc repro` to train again, or `dvc pull`"
MEMORY = "close other programs, or take a machine with more"
REBUILD = "train again (`dvc repro`), or use the release of hierrec that wrote it"


def new_model(params: TrainParams, frozen: NDArray[np.float32]) -> UserModel:
    """Make an untrained model; all random weights come from `params.seed`.

    Each of several members is the one that would be made alone, the first from this seed, the next from the one after.

    Args:
        params: section `train`.
        frozen: float32 [n, F], whitened item vectors.

    Raises:
        ParamsError, ModelError: as `build_backbone`.
    """
    members = []
    with torch.random.fork_rng(devices=[]):
        for number in range(params.members):
            torch.manual_seed(params.seed + number)
            backbone = build_backbone(params.backbone, params.history)
            members.append(_assemble(params, frozen, backbone))
    return together(members)


def save_model(folder: Path, model: UserModel, store_hash: str, curve: Curve = ()) -> None:
    """Write a model with its learning curve; the frozen item vectors stay in their store, named by its hash."""
    with atomic_directory(folder) as temporary:
        # Not `save_file`, which makes a file that nobody else may read.
        (temporary / "model.safetensors").write_bytes(save(state_of(model)))
        config = {
            "schema_version": SCHEMA_VERSION,
            # A key at its default is left out, so that a key added later does not change the file of an older model.
            "train": _without_path(model.params).model_dump(mode="json", exclude_defaults=True),
            "backbone": _backbone_dict(model.members[0].backbone.config),
            "items": len(model.members[0].items),
            "frozen_width": model.members[0].items.frozen.shape[1],
            "store_hash": store_hash,
        }
        write_json(temporary / "config.json", config)
        if curve:
            write_curve(temporary / CURVE, curve)
        seal(temporary)


def load_model(folder: Path, frozen: NDArray[np.float32], store_hash: str) -> UserModel:
    """Read a model that was trained on these item vectors.

    Args:
        folder: what `save_model` wrote.
        frozen: float32 [n, F], whitened item vectors of the store.
        store_hash: hash of that store.

    Raises:
        CheckpointError: a file is missing or damaged, of another version, or trained on other vectors, or a weight is
            not finite.
        OutOfMemoryError: the model does not fit.
    """
    where = str(folder)
    try:
        config = read_json(folder / "config.json")
        version, trained_on = config["schema_version"], str(config["store_hash"])
    except DataError as error:
        raise CheckpointError(error.what, error.where, REMEDY) from None
    except (KeyError, TypeError):
        raise CheckpointError("config.json is not one of a recommender", where, REMEDY) from None
    check_written(folder, version, SCHEMA_VERSION, folder / "config.json", REBUILD)
    if trained_on != store_hash:
        raise CheckpointError(
            f"trained on the item vectors {trained_on[:12]}, not on {store_hash[:12]}", where, REMEDY
        )
    try:
        # The weights that a backbone starts with are drawn, and read over: the caller's randomness stays as it was.
        with memory_needed("memory ran out over a model", where, MEMORY), torch.random.fork_rng(devices=[]):
            params = TrainParams.model_validate(config["train"])
            backbones = [_backbone_of(config["backbone"]) for _ in range(params.members)]
            model = together([_assemble(params, frozen, backbone) for backbone in backbones])
            model.load_state_dict(load_file(folder / "model.safetensors"))
    except OutOfMemoryError:
        raise
    except Exception as error:  # transformers and torch let anything from AttributeError to KeyError pass
        raise CheckpointError(f"cannot be read: {_first(error)}", where, REMEDY) from None
    check_finite(model, where)
    return model.eval()


def check_written(folder: Path, version: object, sealed: int, where: Path, remedy: str) -> None:
    """Refuse a model's folder of an unknown version, or whose files are not those that were written.

    Args:
        folder: of a model.
        version: what it says.
        sealed: the version that this program writes, with checksums. The one before it is read too: there they are
            checked if it has some.
        where: the place in the message about the version.
        remedy: against another version.

    Raises:
        CheckpointError: names the version, or the file that is missing or damaged.
    """
    if version not in (sealed - 1, sealed) or not isinstance(version, int):
        what = f"schema version {version}; this program reads versions {sealed - 1} and {sealed}"
        raise CheckpointError(what, str(where), remedy)
    if version < sealed and not (folder / CHECKSUMS).exists():
        return
    try:
        check_seal(folder)
    except DataError as error:
        raise CheckpointError(error.what, error.where, REMEDY) from None


def check_finite(module: nn.Module, where: str) -> None:
    """Refuse weights that were read from `where` and are no numbers.

    Raises:
        CheckpointError: names the first.
    """
    for name, tensor in module.state_dict().items():
        if not tensor.isfinite().all():
            raise CheckpointError(f"a number of the weight {name} is not finite", where, REMEDY)


def state_of(model: nn.Module) -> dict[str, torch.Tensor]:
    """Return a copy of a module's state on the CPU that shares no memory with it."""
    return {
        name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in model.state_dict().items()
    }


def _first(error: Exception) -> str:
    """Return the first problem of an error that lists many, line by line, as torch's of a state does."""
    lines = str(error).split("\n\t")
    return " ".join(lines[:2]) + (f" (and {len(lines) - 2} more)" if len(lines) > 2 else "")


def _without_path(params: TrainParams) -> TrainParams:
    """Keep a folder's name only: where it lay on this machine says nothing elsewhere."""
    if not params.backbone.pretrained:
        return params
    backbone = params.backbone.model_copy(update={"pretrained": Path(params.backbone.pretrained).name})
    return params.model_copy(update={"backbone": backbone})


def _backbone_dict(config: PreTrainedConfig) -> dict[str, Any]:
    """Return what rebuilds the config; null tokens must be said, or their defaults would come back."""
    tokens = dict.fromkeys(("bos_token_id", "eos_token_id", "pad_token_id"))
    return {key: value for key, value in config.to_dict().items() if key != "_name_or_path"} | tokens


def _backbone_of(config: dict[str, Any]) -> PreTrainedModel:
    """Make the backbone that `_backbone_dict` describes, without a token embedding table."""
    backbone = empty_backbone(AutoConfig.for_model(**config))
    backbone.set_input_embeddings(nn.Identity())
    return backbone


def _assemble(params: TrainParams, frozen: NDArray[np.float32], backbone: PreTrainedModel) -> SequenceModel:
    items = ItemTable(torch.from_numpy(np.array(frozen)), params.residual_width, params.residual_dropout)
    return SequenceModel(params, items, backbone)
