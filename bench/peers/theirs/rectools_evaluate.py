"""Time RecTools' recommendations for all users and their metrics: SPLIT SETTINGS OUT.

The model is trained for one step only, because the time of an evaluation does not depend on the weights.
"""

import json
import sys
from pathlib import Path
from typing import Any

import pandas as pd  # pyright: ignore[reportMissingImports]
import torch
from pytorch_lightning import Trainer  # pyright: ignore[reportMissingImports]
from record import Stopwatch, append  # pyright: ignore[reportMissingImports]
from rectools import Columns  # pyright: ignore[reportMissingImports]
from rectools.metrics import NDCG, Recall, calc_metrics  # pyright: ignore[reportMissingImports]
from rectools_data import TOP, make_model, make_trainer, read_dataset  # pyright: ignore[reportMissingImports]


def trainer(device: str) -> Trainer:
    """Return a trainer that stops after one step."""
    return make_trainer(device, max_steps=1)


def main(split: Path, settings: dict[str, Any], out: Path) -> None:
    """Recommend and compute metrics; write one line."""
    torch.set_num_threads(settings["threads"])
    dataset = read_dataset(split / "training.csv")
    targets = pd.read_csv(split / "targets.csv").rename(columns={"user": Columns.User, "item": Columns.Item})
    model = make_model(settings, get_trainer_func=trainer, get_trainer_func_kwargs={"device": settings["device"]})
    model.fit(dataset)
    metrics = {f"{metric.__name__}@{k}": metric(k=k) for metric in (Recall, NDCG) for k in (10, TOP)}
    watch = Stopwatch()
    table = model.recommend(targets[Columns.User].to_numpy(), dataset, k=TOP, filter_viewed=not settings["repeated"])
    values = calc_metrics(metrics, reco=table, interactions=targets)
    append(out, {**watch.read(), "users": len(targets), **values})


if __name__ == "__main__":
    main(Path(sys.argv[1]), json.loads(Path(sys.argv[2]).read_text("utf-8")), Path(sys.argv[3]))
