"""The rag variant on disk: sequence model, fusion and datastore in one folder."""

import copy
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from ..core.errors import CheckpointError, DataError
from ..core.files import atomic_directory, read_json, seal, write_json
from ..core.sequences import Sequences
from ..model.checkpoint import (
    CURVE,
    REMEDY,
    Curve,
    load_model,
    read_config,
    save_model,
    set_weights,
    write_curve,
    write_weights,
)
from ..model.ensemble import UserModel
from ..model.inputs import Inputs, load_inputs
from ..model.scorer import Scorer
from ..model.sources import Source
from ..search.index import ItemIndex
from .datastore import Datastore, earlier_entries
from .fusion import Fusion, initial_values
from .params import FusionParams
from .similar_items import CoOccurringItems, OwnHistory, SimilarItems
from .trends import Trends

SCHEMA_VERSION = 3
FUSION = "fusion.safetensors"
OF_HALF = "fusion_of_half.safetensors"  # the fusion that learned from one half of the users, for validation


def open_trends(params: FusionParams, inputs: Inputs) -> Trends | None:
    """Return source `trending`; None if `params` does not name it."""
    return Trends(inputs.sequences, len(inputs.frozen)) if "trending" in params.sources else None


def open_sources(
    params: FusionParams, datastore: Datastore | None, index: ItemIndex, inputs: Inputs, trends: Trends | None
) -> dict[str, Source]:
    """Return the sources that `params` names, in their order, over the inputs and the index of their item vectors.

    The datastore is source `next_items` and trends are source `trending`; None if `params` does not name them.
    """
    near = params.item_neighbours, params.recent_items
    known: dict[str, Callable[[], Any]] = {
        "next_items": lambda: datastore,
        "items": lambda: SimilarItems(index, inputs.frozen, *near),
        "co_occurring": lambda: CoOccurringItems(inputs.sequences, len(inputs.frozen), *near),
        "history": OwnHistory,
        "trending": lambda: trends,
    }
    return {name: known[name]() for name in params.sources}


def save_rag(
    folder: Path,
    model: UserModel,
    fusion: Fusion,
    params: FusionParams,
    datastore: Datastore | None,
    store_hash: str,
    curve: Curve = (),
    fitted: Mapping[str, Any] | None = None,
    of_half: Fusion | None = None,
) -> None:
    """Write the variant, without item vectors and index, and the fusion's learning curve.

    `fitted` is written into the config: how a model was fitted again, and on which items. `of_half` is the
    fusion that ranks validation targets (`of_held_out`).
    """
    with atomic_directory(folder) as temporary:
        save_model(temporary / "base", model, store_hash)
        if datastore is not None:
            datastore.write(temporary / "datastore")
        write_weights(temporary / FUSION, fusion)
        if of_half is not None:
            write_weights(temporary / OF_HALF, of_half)
        config = {"schema_version": SCHEMA_VERSION, "fusion": params.model_dump(mode="json")}
        write_json(temporary / "config.json", config | ({"fitted": fitted} if fitted else {}))
        if curve:
            write_curve(temporary / CURVE, curve)
        seal(temporary)


def load_rag(folder: Path, inputs: Inputs, index: ItemIndex, dtype: torch.dtype = torch.float64) -> Scorer:
    """Read the variant that `save_rag` wrote; `dtype` as for `Scorer`.

    The variant must have been built from these inputs and this index, but histories may have grown since. Raises as
    `load_model`; also ``CheckpointError`` if it was built from other users, and ``DataError`` if it has source
    `trending`, but the data has no usable times.
    """
    model, fusion, params = load_parts(folder, inputs)
    datastore = None
    if "next_items" in params.sources:
        datastore = Datastore.open(folder / "datastore", params)
        _check_fit(datastore, model, inputs.sequences, str(folder / "datastore"))
    sources = open_sources(params, datastore, index, inputs, fusion.trends)
    return Scorer(model, inputs.candidates, sources, fusion, dtype, inputs.sequences)


def of_held_out(scorer: Scorer, folder: Path) -> Scorer:
    """Return the scorer that `load_rag` read from the folder, with the fusion that learned from one half of the users.

    It ranks the validation targets of the other half. Raises ``CheckpointError`` if the fusion is missing or damaged.
    """
    held_out, fusion = copy.copy(scorer), copy.deepcopy(scorer.fusion)
    assert isinstance(fusion, Fusion)
    held_out.fusion = _with_weights(fusion, folder, OF_HALF)
    return held_out


def load_parts(folder: Path, inputs: Inputs) -> tuple[UserModel, Fusion, FusionParams]:
    """Read the parts that are learned: all but the datastore; raises as `load_rag`."""
    model = load_model(folder / "base", inputs.frozen, inputs.store_hash)
    config = read_config(folder, SCHEMA_VERSION, REMEDY)
    try:
        fusion_params = {"users": 1, "steps": 1, **config["fusion"]}
        fusion_params.pop("epochs", None)  # of older models, which had neither users nor steps
        params = FusionParams.model_validate(fusion_params)
        counts = inputs.sequences.training_counts(len(inputs.frozen))  # [n]
        fusion = Fusion(initial_values(params), counts, trends=open_trends(params, inputs))
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"cannot be read: {str(error)[:500]}", str(folder), REMEDY) from None
    return model, _with_weights(fusion, folder, FUSION), params


def _with_weights(fusion: Fusion, folder: Path, name: str) -> Fusion:
    """Return the fusion, with the weights in a file of the folder."""
    try:
        # Older models have no network; a new one corrects nothing.
        set_weights(fusion, load_file(folder / name), str(folder), "hidden.", "correction.")
    except (OSError, SafetensorError, RuntimeError) as error:
        raise CheckpointError(f"{name} cannot be read: {str(error)[:500]}", str(folder), REMEDY) from None
    return fusion


def inputs_for_use(folder: Path, data: Path, item_embeddings: Path) -> Inputs:
    """Read the inputs of the model in a folder: `whole` if it was fitted on all items, test items included.

    A damaged config is no error here. Raises as `load_inputs`.
    """
    inputs = load_inputs(data, item_embeddings)
    try:
        whole = read_json(folder / "config.json")["fitted"]["items"] == "all"
    except (DataError, KeyError, TypeError):
        return inputs
    return inputs.whole() if whole else inputs


def _check_fit(datastore: Datastore, model: UserModel, sequences: Sequences, where: str) -> None:
    """Refuse a datastore whose keys have another width than the model's states, or whose users have other histories.

    Adding or removing users shifts user rows, so users could retrieve their own entries.
    """
    if datastore.keys.shape[1] != model.width:
        what = f"keys of width {datastore.keys.shape[1]} do not fit states of width {model.width}"
        raise CheckpointError(what, where, REMEDY)
    positions = 1 + earlier_entries(datastore.users)  # [N], of the next item in its user's history
    users = datastore.users.clip(max=sequences.user_count - 1)  # [N]
    flat = sequences.offsets[users] + positions  # [N], index into `sequences.items`
    same = (
        (users == datastore.users)
        & (flat < sequences.offsets[users + 1])
        & (sequences.items.take(flat, mode="clip") == datastore.next_items)
    )
    if not same.all():
        what = f"user {datastore.users[np.argmin(same)]} has another history in the data"
        raise CheckpointError(what, where, REMEDY)
