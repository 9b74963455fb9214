"""Train one model as the project's stage does."""

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import polars as pl
import torch
from hierrec.core.sequences import Sequences
from hierrec.core.tables import interaction_groups, load_items, load_split
from hierrec.model.ensemble import UserModel
from hierrec.model.params import TrainParams
from hierrec.store.whitening import Whitening
from hierrec.training.resume import TrainingState
from hierrec.training.start import untrained_model
from hierrec.training.trainer import fit, validator
from numpy.typing import NDArray


@dataclass(frozen=True)
class Data:
    """The item table, every user's sequence with the split, and the candidates (bool [n])."""

    items: pl.DataFrame
    sequences: Sequences
    candidates: NDArray[np.bool_]


def load_data(folder: Path) -> Data:
    """Read the output of the project's stage `ingest`."""
    items = load_items(folder / "items.parquet")
    interactions = interaction_groups(folder / "interactions.parquet")
    sequences = Sequences.from_tables(interactions, load_split(folder / "split.parquet"))
    return Data(items, sequences, items["candidate"].to_numpy())


def train_params(row: dict[str, Any], seed: int) -> TrainParams:
    """Return the section `train` of a planned row with its seed."""
    return TrainParams.model_validate({**row["train"], "seed": seed})


def frozen_vectors(vectors: NDArray[np.float32], dimension: int | None) -> NDArray[np.float32]:
    """Whiten vectors float32 [n, d]; vectors of width 0 stay as they are."""
    return vectors if vectors.shape[1] == 0 else Whitening.fit(vectors, dimension).apply(vectors)


def train(
    sequences: Sequences, candidates: NDArray[np.bool_], frozen: NDArray[np.float32], params: TrainParams
) -> UserModel:
    """Train a recommender with early stopping on the validation targets.

    Args:
        sequences: training items and validation targets.
        candidates: bool [n].
        frozen: float32 [n, F], whitened item vectors.
        params: section `train`.
    """
    # As in the project's stage: denormal numbers make a CPU many times slower.
    torch.set_flush_denormal(True)
    model = untrained_model(params, frozen, sequences)
    validate = validator(sequences, candidates)
    with TemporaryDirectory() as folder:
        fit(model, sequences, validate, TrainingState(Path(folder), "state"))
    return model
