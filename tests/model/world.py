"""The users of the recommender's tests."""

from pathlib import Path
from typing import Any

import numpy as np
from hierrec.core.sequences import NO_TARGET, Sequences
from hierrec.model.checkpoint import new_model
from hierrec.model.ensemble import UserModel
from hierrec.model.params import TrainParams
from hierrec.model.sequence_model import SequenceModel
from hierrec.training.resume import Progress, TrainingState
from hierrec.training.trainer import Validate, fit
from numpy.typing import NDArray

ITEMS = 24
LLAMA = {
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "intermediate_size": 32,
}
PHI3 = {"model_type": "phi3", **LLAMA, "resid_pdrop": 0.1}
GPT2 = {"model_type": "gpt2", "n_embd": 16, "n_layer": 1, "n_head": 2, "n_inner": 32}


def with_backbone(params: TrainParams, config: dict[str, Any]) -> TrainParams:
    """Return the params with a backbone of this config."""
    return params.model_copy(update={"backbone": params.backbone.model_copy(update={"config": config})})


def new_member(params: TrainParams, frozen: NDArray[np.float32]) -> SequenceModel:
    """Make a model of one member."""
    (member,) = new_model(params, frozen).members
    return member


def trained(
    params: TrainParams,
    frozen: NDArray[np.float32],
    sequences: Sequences,
    validate: Validate | None,
    folder: Path,
) -> tuple[UserModel, Progress]:
    """Train a new recommender, or resume from the state in the folder."""
    model = new_model(params, frozen)
    return model, fit(model, sequences, validate, TrainingState(folder, "key"))


def make_sequences(users: list[NDArray[np.int64]]) -> Sequences:
    """Split each user's items leave-one-out."""
    lengths = np.array([len(items) for items in users])
    split = lengths >= 3
    return Sequences(
        items=np.concatenate(users).astype(np.int64),
        offsets=np.concatenate([[0], np.cumsum(lengths)]),
        train_length=np.where(split, lengths - 2, lengths),
        test_length=np.where(split, lengths - 1, lengths),
        validation=np.array([items[-2] if held else NO_TARGET for items, held in zip(users, split, strict=True)]),
        test=np.array([items[-1] if held else NO_TARGET for items, held in zip(users, split, strict=True)]),
    )
