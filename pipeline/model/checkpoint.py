"""A trained model on disk: `model.safetensors`, `config.json` and its learning curve."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save
from torch import nn
from transformers import AutoConfig

from ..core.errors import CheckpointError, DataError, OutOfMemoryError, memory_needed
from ..core.files import CHECKSUMS, atomic_directory, atomic_path, check_seal, read_json, seal, write_json
from .backbone import build_backbone, empty_backbone
from .ensemble import UserModel, together
from .params import TrainParams
from .sequence_model import SequenceModel

SCHEMA_VERSION = 2
REMEDY = "run `dvc repro` to train again, or `dvc pull`"
OLDER = "train again (`dvc repro`), or use the release of hierrec that wrote it"
CHOSEN_BY = "ndcg@10"  # the validation metric that picks the best epoch
DIGITS = 6  # of the metrics in a learning curve
CURVE = "curve.csv"  # the learning curve in a model's folder
Curve = Sequence[Mapping[str, float]]  # per validation: epoch or step, train_loss and the validation metrics


def new_model(
    params: TrainParams, frozen: NDArray[np.float32], repeated: bool = False, sessions: bool = False
) -> UserModel:
    """Build an untrained model over whitened item vectors, float32 [n, F].

    Users may take items again if `repeated`. The data marks the items that start a session if `sessions`. Member m of
    an ensemble draws its weights from `params.seed + m`. Raises as `build_backbone`.
    """
    members = []
    with torch.random.fork_rng(devices=[]):
        for number in range(params.members):
            torch.manual_seed(params.seed + number)
            backbone = build_backbone(params.backbone, params.history)
            members.append(SequenceModel(params, frozen, backbone, repeated, sessions))
    return together(members)


def save_model(folder: Path, model: UserModel, store_hash: str, curve: Curve = (), shrunk: bool = False) -> None:
    """Write a model and its learning curve; the frozen item vectors stay in their store, named by its hash.

    If the model is `shrunk`, its config says so.
    """
    member = model.members[0]
    # Defaults are left out, so that a key added later does not change the files of models without it.
    train = model.params.model_dump(mode="json", exclude_defaults=True)
    if pretrained := train["backbone"]["pretrained"]:  # of a folder, only the name means something on another machine
        train["backbone"]["pretrained"] = Path(pretrained).name
    # Null tokens are explicit: transformers would fill in its defaults.
    backbone = member.backbone.config.to_dict() | dict.fromkeys(("bos_token_id", "eos_token_id", "pad_token_id"))
    backbone.pop("_name_or_path", None)
    config = {
        "schema_version": SCHEMA_VERSION,
        "train": train,
        "backbone": backbone,
        "items": len(member.items),
        "frozen_width": member.items.frozen.shape[1],
        "store_hash": store_hash,
        **({"shrunk": True} if shrunk else {}),
    }
    with atomic_directory(folder) as temporary:
        write_weights(temporary / "model.safetensors", model)
        write_json(temporary / "config.json", config)
        if curve:
            write_curve(temporary / CURVE, curve)
        seal(temporary)


def load_model(folder: Path, frozen: NDArray[np.float32], store_hash: str) -> UserModel:
    """Read a model, in evaluation mode; `frozen` are the whitened vectors, float32 [n, F], of the store with this hash.

    Raises ``CheckpointError`` if a file is missing or damaged, has another version, was trained on other vectors, or a
    weight is not finite; ``OutOfMemoryError`` if the model does not fit.
    """
    where = str(folder)
    config = read_config(folder)
    trained_on = str(config.get("store_hash"))
    if trained_on != store_hash:
        what = f"trained on the item vectors {trained_on[:12]}, not on {store_hash[:12]}"
        raise CheckpointError(what, where, REMEDY)
    memory = memory_needed("not enough memory for the model", where, "close other programs, or add memory")
    try:
        # Building a backbone draws random weights; the fork keeps the caller's generator unchanged.
        with memory, torch.random.fork_rng(devices=[]):
            params = TrainParams.model_validate(config["train"])
            backbones = [empty_backbone(AutoConfig.for_model(**config["backbone"])) for _ in range(params.members)]
            for backbone in backbones:
                backbone.set_input_embeddings(nn.Identity())
            weights = load_file(folder / "model.safetensors")
            kinds = [any(part in name for name in weights) for part in ("repeats.", "comeback.")]
            model = together([SequenceModel(params, frozen, backbone, *kinds) for backbone in backbones])
            set_weights(model, weights, where, "key_scale")
    except (OutOfMemoryError, CheckpointError):
        raise
    except Exception as error:  # transformers and torch raise anything from AttributeError to KeyError
        problems = str(error).split("\n\t")  # torch lists all that a state dict has
        more = f" (and {len(problems) - 2} more)" * (len(problems) > 2)
        raise CheckpointError(f"cannot be read: {' '.join(problems[:2])}{more}", where, REMEDY) from None
    return model.eval()


def read_config(folder: Path, current: int = SCHEMA_VERSION, remedy: str = OLDER) -> dict[str, Any]:
    """Read the config.json of a model's folder, and compare the folder's files with their checksums.

    This program writes version `current`, with checksums. It also reads the version before, with or without checksums.
    Raises ``CheckpointError`` if the version is unknown (`remedy` is for this), or a file is missing or damaged.
    """
    where = folder / "config.json"
    try:
        config = read_json(where)
        version = config["schema_version"]
        if version not in (current - 1, current):
            what = f"schema version {version!r}; this program reads versions {current - 1} and {current}"
            raise CheckpointError(what, str(where), remedy)
        if version == current or (folder / CHECKSUMS).exists():
            check_seal(folder)
    except DataError as error:
        raise CheckpointError(error.what, error.where, REMEDY) from None
    except (KeyError, TypeError):
        raise CheckpointError("does not describe a model", str(where), REMEDY) from None
    return config


def write_weights(path: Path, module: nn.Module) -> None:
    """Write a module's state. Not by `save_file`: only its owner could read the file."""
    path.write_bytes(save(state_of(module)))


def set_weights(module: nn.Module, weights: dict[str, torch.Tensor], where: str, *added: str) -> None:
    """Load weights read from `where`; weights with a part of their name in `added` may be missing, as in older models.

    Raises ``CheckpointError``, which names the first such weight, if a weight is not finite.
    """
    for name, initial in module.state_dict().items():
        if any(part in name for part in added):
            weights.setdefault(name, initial)
    module.load_state_dict(weights)
    for name, tensor in module.state_dict().items():
        if not tensor.isfinite().all():
            raise CheckpointError(f"the weight {name} is not finite", where, REMEDY)


def state_of(model: nn.Module) -> dict[str, torch.Tensor]:
    """Copy a module's state to the CPU."""
    state = model.state_dict().items()
    return {name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in state}


def write_curve(path: Path, records: Curve) -> None:
    """Write a learning curve as CSV, rounded to `DIGITS` digits, one row per record."""
    table = pl.DataFrame(records).with_columns(
        pl.col("^(epoch|step)$").cast(pl.Int32), pl.selectors.float().round(DIGITS)
    )
    with atomic_path(path) as temporary:
        table.write_csv(temporary)


def read_curve(folder: Path) -> pl.DataFrame:
    """Read the learning curve in a model's folder; raise ``CheckpointError`` if it is missing or not a table."""
    try:
        return pl.read_csv(folder / CURVE)
    except (OSError, pl.exceptions.PolarsError) as error:
        remedy = "run `dvc repro` to train again"
        raise CheckpointError(f"the learning curve cannot be read: {error}", str(folder), remedy) from None
