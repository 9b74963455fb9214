"""Make RecTools' SASRec for the comparison, and read the split for RecTools."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd  # pyright: ignore[reportMissingImports]
from pytorch_lightning import Trainer  # pyright: ignore[reportMissingImports]
from rectools import Columns  # pyright: ignore[reportMissingImports]
from rectools.dataset import Dataset  # pyright: ignore[reportMissingImports]
from rectools.models import SASRecModel  # pyright: ignore[reportMissingImports]
from rectools.models.nn.item_net import IdEmbeddingsItemNet  # pyright: ignore[reportMissingImports]
from rectools.models.nn.transformers.ligr import LiGRLayers  # pyright: ignore[reportMissingImports]

TOP = 20


def read_dataset(path: Path) -> Dataset:
    """Read sequences from a table of user, item, position."""
    table = pd.read_csv(path)
    interactions = table.rename(columns={"user": Columns.User, "item": Columns.Item})
    interactions[Columns.Weight] = 1.0
    # The position in the sequence serves as time, because RecTools orders by time and breaks ties in its own way.
    interactions[Columns.Datetime] = pd.to_datetime(interactions.pop("position"), unit="s")
    return Dataset.construct(interactions)


def read_users(folder: Path) -> np.ndarray:
    """Read `users.csv`: int64 [V]."""
    return pd.read_csv(folder / "users.csv")["user"].to_numpy()


def make_model(settings: dict[str, Any], **others: Any) -> SASRecModel:
    """Make RecTools' SASRec; settings not named here have RecTools' defaults.

    Args:
        settings: width, blocks, heads, history, dropout, loss, negatives, batch, learning_rate, device; layers: `ligr`
            for the blocks of eSASRec.
        others: further arguments of the model.
    """
    if settings.get("layers") == "ligr":
        others |= {"transformer_layers_type": LiGRLayers, "use_key_padding_mask": True}
    return SASRecModel(
        n_factors=settings["width"],
        n_blocks=settings["blocks"],
        n_heads=settings["heads"],
        session_max_len=settings["history"],
        dropout_rate=settings["dropout"],
        loss=settings["loss"],
        n_negatives=settings["negatives"],
        batch_size=settings["batch"],
        lr=settings["learning_rate"],
        item_net_block_types=(IdEmbeddingsItemNet,),
        recommend_torch_device=settings["device"],
        **others,
    )


def make_trainer(device: str, **settings: Any) -> Trainer:
    """Return Lightning's trainer without files and output; `settings` are its further arguments."""
    return Trainer(
        accelerator="cpu" if device == "cpu" else "gpu",
        devices=1,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        logger=False,
        **settings,
    )


def top_items(model: SASRecModel, dataset: Dataset, users: np.ndarray, repeated: bool) -> np.ndarray:
    """Return the top items of the users as RecTools recommends them: int64 [V, 20], -1 where there are fewer."""
    table = model.recommend(users, dataset, k=TOP, filter_viewed=not repeated)
    top = np.full((len(users), TOP), -1, np.int64)
    rows = np.searchsorted(users, table[Columns.User])
    top[rows, table[Columns.Rank] - 1] = table[Columns.Item]
    return top
