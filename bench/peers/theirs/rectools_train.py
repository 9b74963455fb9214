"""Train RecTools' SASRec for a limited time: SPLIT SETTINGS OUT (see `record.py`)."""

import copy
import json
import sys
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer  # pyright: ignore[reportMissingImports]
from record import Stopwatch, append  # pyright: ignore[reportMissingImports]
from rectools_data import (  # pyright: ignore[reportMissingImports]
    make_model,
    make_trainer,
    read_dataset,
    read_users,
    top_items,
)


class Snapshots(Callback):
    """Copies the weights at intervals, and stops when the time is over. Ranking follows the training."""

    def __init__(self, seconds: float, interval: float, clock: str) -> None:
        self.seconds, self.interval, self.clock = seconds, interval, clock
        self.lines: list[dict[str, Any]] = []
        self.states: list[dict[str, Any]] = []
        self.interactions = 0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.watch = Stopwatch()

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: dict[str, torch.Tensor],
        batch_idx: int,
    ) -> None:
        self.interactions += int((batch["y"] != 0).sum())
        times = self.watch.read()
        trainer.should_stop = times[self.clock] >= self.seconds
        if trainer.should_stop or times[self.clock] >= self.interval * (len(self.lines) + 1):
            self.watch.pause()
            self.lines.append({**times, "interactions": self.interactions})
            self.states.append(copy.deepcopy(pl_module.torch_model.state_dict()))
            self.watch.resume()


def trainer(seconds: float, interval: float, clock: str, device: str) -> Trainer:
    """Return RecTools' trainer without its limit of epochs, with snapshots."""
    return make_trainer(device, max_epochs=10**6, callbacks=[Snapshots(seconds, interval, clock)])


def main(split: Path, settings: dict[str, Any], out: Path) -> None:
    """Train, then rank with each snapshot."""
    torch.set_num_threads(settings["threads"])
    torch.manual_seed(settings["seed"])
    torch.set_flush_denormal(True)
    dataset, users = read_dataset(split / "training.csv"), read_users(split)
    limits = {key: settings[key] for key in ("seconds", "interval", "clock", "device")}
    model = make_model(settings, get_trainer_func=trainer, get_trainer_func_kwargs=limits)
    model.fit(dataset)
    (snapshots,) = (one for one in model.fit_trainer.callbacks if isinstance(one, Snapshots))
    for line, state in zip(snapshots.lines, snapshots.states, strict=True):
        model.lightning_model.torch_model.load_state_dict(state)
        append(out, line, top_items(model, dataset, users, settings["repeated"]))


if __name__ == "__main__":
    main(Path(sys.argv[1]), json.loads(Path(sys.argv[2]).read_text("utf-8")), Path(sys.argv[3]))
