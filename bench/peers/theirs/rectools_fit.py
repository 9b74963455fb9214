"""Train RecTools' SASRec until validation no longer improves: SPLIT SETTINGS OUT.

Writes its user states before the test targets (`states.npy`, float32 [U, D]; zeros for a user without known items), its
item vectors (`items.npy`, float32 [m, D]), and their rows in our table (`item_ids.npy`, int64 [m]). A user's score of
an item is the product of both vectors.
"""

import copy
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd  # pyright: ignore[reportMissingImports]
import torch
from pytorch_lightning import Callback, LightningModule, Trainer  # pyright: ignore[reportMissingImports]
from record import Stopwatch, append  # pyright: ignore[reportMissingImports]
from rectools.dataset import Dataset  # pyright: ignore[reportMissingImports]
from rectools.models.nn.transformers.lightning import (  # pyright: ignore[reportMissingImports]
    TransformerLightningModule,
)
from rectools_data import make_model, make_trainer, read_dataset  # pyright: ignore[reportMissingImports]

K = 10
BATCH = 256


class TargetsAlone(TransformerLightningModule):
    """RecTools' module, without scores of padding.

    RecTools scores the negatives of all positions and multiplies the loss of padding by 0. This module scores only
    positions with a target. The loss is the same, and short sequences take a fraction of the time.
    """

    def training_step(self, batch: dict[str, torch.Tensor], batch_idx: int) -> torch.Tensor:
        """Return the loss of a batch."""
        items = self.torch_model.item_model.get_all_embeddings()  # [m, D]
        has_target = batch["y"] != 0  # [B, T]
        states = self.torch_model.encode_sessions(batch, items)[has_target]  # [P, D]
        targets, weights = batch["y"][has_target], batch["yw"][has_target]  # [P]
        scored = torch.cat([targets[:, None], batch["negatives"][has_target]], 1)  # [P, 1 + N]
        logits = self.torch_model.similarity_module(states[None], items, scored[None])  # [1, P, 1 + N]
        return self.loss_calculator(logits / self.logits_t, targets[None], weights[None])


class EarlyStopping(Callback):
    """Validates after every epoch, keeps the best weights, and stops when `patience` or the time is exhausted."""

    def __init__(self, split: Path, settings: dict[str, Any], out: Path) -> None:
        self.settings, self.out = settings, out
        self.dataset = read_dataset(split / "training.csv")
        targets = pd.read_csv(split / "validation.csv")
        self.users, self.targets = targets["user"].to_numpy(), targets["item"].to_numpy()
        seen = dict(tuple(pd.read_csv(split / "training.csv").groupby("user")["item"]))
        self.seen = [] if settings["repeated"] else [seen[user].to_numpy() for user in self.users]
        self.best, self.stale, self.weights = -1.0, 0, {}

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.watch = Stopwatch()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        value = self.validate(pl_module)
        pl_module.train()
        self.stale += 1
        if value > self.best:
            self.best, self.stale = value, 0
            self.weights = copy.deepcopy(pl_module.torch_model.state_dict())
        times = self.watch.read()
        append(self.out, {**times, "epoch": trainer.current_epoch + 1, f"ndcg@{K}": value})
        over = times["cpu_seconds"] >= self.settings["seconds"]
        trainer.should_stop = over or self.stale >= self.settings["patience"]

    def validate(self, module: LightningModule) -> float:
        """Return NDCG@10 of the validation targets among all known items."""
        states, items, ids = vectors(module, self.dataset, self.users)
        columns = np.full(int(max(ids.max(), self.targets.max())) + 1, -1)
        columns[ids] = np.arange(len(ids))
        gain = 0.0
        for start in range(0, len(self.users), BATCH):
            scores = states[start : start + BATCH] @ items.T  # [B, m]
            target = columns[self.targets[start : start + BATCH]]  # [B]
            wanted = np.take_along_axis(scores, np.maximum(target, 0)[:, None], 1)  # [B, 1]
            for row, seen in zip(scores, self.seen[start : start + BATCH], strict=False):
                row[columns[seen]] = -np.inf
            ranks = (scores > wanted).sum(1) + 1  # [B]
            # A user without a known item has the state 0, for which all items tie.
            ranked = (target >= 0) & states[start : start + BATCH].any(1)  # [B]
            gain += float((1 / np.log2(ranks + 1))[(ranks <= K) & ranked].sum())
        return gain / len(self.users)


def vectors(module: LightningModule, dataset: Dataset, users: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the users after their histories [V, D], the known items [m, D], and their ids [m]."""
    preparator = module.data_preparator
    known = preparator.transform_dataset_u2i(dataset, users)
    loader = preparator.get_dataloader_recommend(known, BATCH)
    found, items = module._get_user_item_embeddings(loader, "cpu")
    states = np.zeros((len(users), items.shape[1]), np.float32)
    states[np.searchsorted(users, known.user_id_map.external_ids)] = found.numpy()
    ids = preparator.get_known_item_ids().astype(np.int64)
    return states, items[preparator.n_item_extra_tokens :].numpy(), ids


def trainer(split: str, settings: dict[str, Any], out: str) -> Trainer:
    """Return a trainer that validates with our callback only."""
    callback = EarlyStopping(Path(split), settings, Path(out))
    return make_trainer("cpu", max_epochs=settings["epochs"], callbacks=[callback])


def main(split: Path, settings: dict[str, Any], out: Path) -> None:
    """Train, and write the vectors of the best epoch."""
    torch.set_num_threads(settings["threads"])
    torch.manual_seed(settings["seed"])
    torch.set_flush_denormal(True)
    own = {"split": str(split), "settings": settings, "out": str(out)}
    model = make_model(
        settings,
        lightning_module_type=TargetsAlone,
        get_trainer_func=trainer,
        get_trainer_func_kwargs=own,
    )
    model.fit(read_dataset(split / "training.csv"))
    (stopping,) = (one for one in model.fit_trainer.callbacks if isinstance(one, EarlyStopping))
    model.torch_model.load_state_dict(stopping.weights)
    histories = read_dataset(split / "histories.csv")
    users = np.arange(int(histories.user_id_map.external_ids.max()) + 1)
    states, items, ids = vectors(model.lightning_model, histories, users)
    np.save(out / "states.npy", states)
    np.save(out / "items.npy", items)
    np.save(out / "item_ids.npy", ids)


if __name__ == "__main__":
    main(Path(sys.argv[1]), json.loads(Path(sys.argv[2]).read_text("utf-8")), Path(sys.argv[3]))
