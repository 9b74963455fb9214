"""The rag variant on disk: sequence model, fusion and datastore, in one folder."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from ..core.errors import CheckpointError, DataError
from ..core.files import atomic_directory, read_json, seal, write_json
from ..data.sequences import Sequences
from ..model.checkpoint import (
    CURVE,
    REMEDY,
    Curve,
    check_finite,
    check_written,
    load_model,
    save_model,
    state_of,
    write_curve,
)
from ..model.ensemble import UserModel
from ..model.inputs import Inputs
from ..model.scorer import Scorer
from ..model.sources import Source
from ..search.index import ItemIndex
from .datastore import Datastore, Lookup
from .fusion import Fusion, starts
from .params import FusionParams
from .similar_items import SimilarItems

SCHEMA_VERSION = 3


def open_sources(
    params: FusionParams, datastore: Datastore | None, index: ItemIndex, frozen: NDArray[np.float32]
) -> dict[str, Source]:
    """Return the sources that the params name, in their order.

    Args:
        params: section `fusion`.
        datastore: remembered prefixes; None where the params do not name `next_items`.
        index: of the item vectors.
        frozen: float32 [n, F], the item vectors.
    """
    sources: dict[str, Source] = {}
    for name in params.sources:
        if name == "next_items" and datastore is not None:
            sources[name] = datastore
        elif name == "items":
            sources[name] = SimilarItems(index, frozen, params.item_neighbours, params.recent_items)
    return sources


def lookup(params: FusionParams) -> Lookup:
    """Return how the params want the datastore to be asked."""
    return Lookup(params.shortlist, params.overlap, params.neighbours, params.following, params.preceding)


def save_rag(
    folder: Path,
    model: UserModel,
    fusion: Fusion,
    params: FusionParams,
    datastore: Datastore | None,
    store_hash: str,
    curve: Curve = (),
) -> None:
    """Write all that the variant needs beside the item vectors and their index, and the fusion's learning curve."""
    with atomic_directory(folder) as temporary:
        save_model(temporary / "base", model, store_hash)
        if datastore is not None:
            datastore.write(temporary / "datastore")
        (temporary / "fusion.safetensors").write_bytes(save(state_of(fusion)))
        write_json(
            temporary / "config.json",
            {"schema_version": SCHEMA_VERSION, "fusion": params.model_dump(mode="json")},
        )
        if curve:
            write_curve(temporary / CURVE, curve)
        seal(temporary)


def load_rag(folder: Path, inputs: Inputs, index: ItemIndex, dtype: torch.dtype = torch.float64) -> Scorer:
    """Read what `save_rag` wrote.

    Args:
        folder: where.
        inputs: the data and item vectors that it was made of; histories may have grown since.
        index: of these vectors.
        dtype: as for `Scorer`.

    Raises:
        CheckpointError: a file is missing or damaged, of another version, or made of other vectors or other users,
            or a weight is not finite.
        OutOfMemoryError: the model does not fit.
    """
    model = load_model(folder / "base", inputs.frozen, inputs.store_hash)
    try:
        config = read_json(folder / "config.json")
        check_written(folder, config["schema_version"], SCHEMA_VERSION, folder, REMEDY)
        params = FusionParams.model_validate(config["fusion"])
        fusion = Fusion(starts(params))
        fusion.load_state_dict(load_file(folder / "fusion.safetensors"))
    except (DataError, OSError, SafetensorError, RuntimeError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"cannot be read: {error}", str(folder), REMEDY) from None
    check_finite(fusion, str(folder))
    datastore = None
    if "next_items" in params.sources:
        datastore = Datastore.open(folder / "datastore", lookup(params))
        _check_fit(datastore, model, inputs.sequences, str(folder / "datastore"))
    sources = open_sources(params, datastore, index, inputs.frozen)
    return Scorer(model, inputs.candidates, sources, fusion, dtype)


def _check_fit(datastore: Datastore, model: UserModel, sequences: Sequences, where: str) -> None:
    """Refuse a datastore of states of another width, or of other histories than those of the data's users.

    Where users were added or left out, the rows of the others have moved. A user would then retrieve his own entries.
    """
    if datastore.keys.shape[1] != model.width:
        what = f"keys of width {datastore.keys.shape[1]} do not fit states of width {model.width}"
        raise CheckpointError(what, where, REMEDY)
    first = np.flatnonzero(np.diff(datastore.users, prepend=-1))  # [u], each user's first entry
    entries = np.arange(len(datastore))
    position = 1 + entries - np.repeat(first, np.diff(first, append=len(datastore)))  # [N], of the next item
    owners = datastore.users.clip(max=sequences.user_count - 1)  # [N]
    places = sequences.offsets[owners] + position  # [N]
    same = (
        (owners == datastore.users)
        & (places < sequences.offsets[owners + 1])
        & (sequences.items.take(places, mode="clip") == datastore.next_items)
    )
    if not same.all():
        what = f"user {datastore.users[np.argmin(same)]} has another history in the data"
        raise CheckpointError(what, where, REMEDY)
