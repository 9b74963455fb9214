"""Train RecBole's SASRec for a limited time: SPLIT SETTINGS OUT (see `record.py`).

RecBole makes an example of every prefix, so each training sequence has one target. Of its two losses, cross-entropy
over all items is closer to a sampled softmax than BPR.
"""

import contextlib
import copy
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd  # pyright: ignore[reportMissingImports]
import torch
from recbole.config import Config  # pyright: ignore[reportMissingImports]
from recbole.data import create_dataset  # pyright: ignore[reportMissingImports]
from recbole.data.dataloader import TrainDataLoader  # pyright: ignore[reportMissingImports]
from recbole.data.interaction import Interaction  # pyright: ignore[reportMissingImports]
from recbole.model.sequential_recommender import SASRec  # pyright: ignore[reportMissingImports]
from recbole.trainer import Trainer  # pyright: ignore[reportMissingImports]
from recbole.utils import init_seed  # pyright: ignore[reportMissingImports]
from record import Stopwatch, append  # pyright: ignore[reportMissingImports]

TOP = 20
RANKED_AT_A_TIME = 256
NAME = "split"


class TimeIsOver(Exception):
    """Ends RecBole's training, whose own limit is a number of epochs."""


class WatchedSASRec(SASRec):
    """SASRec that copies its weights at intervals, and stops when the time is over."""

    def watch(self, seconds: float, interval: float, clock: str) -> None:
        """Set the limits; the clock starts with the first batch."""
        self.seconds, self.interval, self.clock = seconds, interval, clock
        self.lines: list[dict[str, Any]] = []
        self.states: list[dict[str, Any]] = []
        self.interactions = 0
        self.stopwatch: Stopwatch | None = None

    def calculate_loss(self, interaction: Interaction) -> torch.Tensor:
        if self.stopwatch is None:
            self.stopwatch = Stopwatch()
        times = self.stopwatch.read()
        over = times[self.clock] >= self.seconds
        if over or times[self.clock] >= self.interval * (len(self.lines) + 1):
            self.stopwatch.pause()
            self.lines.append({**times, "interactions": self.interactions})
            self.states.append(copy.deepcopy(self.state_dict()))
            self.stopwatch.resume()
        if over:
            raise TimeIsOver
        self.interactions += len(interaction)
        return super().calculate_loss(interaction)


def make_config(settings: dict[str, Any], folder: Path) -> Config:
    """Return RecBole's config; settings not named here have RecBole's defaults."""
    return Config(
        model="SASRec",
        dataset=NAME,
        config_dict={
            "data_path": str(folder),
            "checkpoint_dir": str(folder),
            "load_col": {"inter": ["user_id", "item_id", "timestamp"]},
            "MAX_ITEM_LIST_LENGTH": settings["history"],
            "hidden_size": settings["width"],
            "inner_size": settings["inner"],
            "n_layers": settings["blocks"],
            "n_heads": settings["heads"],
            "hidden_dropout_prob": settings["dropout"],
            "attn_dropout_prob": settings["dropout"],
            "loss_type": "CE",
            "train_neg_sample_args": None,
            "train_batch_size": settings["batch"],
            "learning_rate": settings["learning_rate"],
            "epochs": 10**6,
            "eval_args": {
                "split": {"RS": [1.0, 0.0, 0.0]},
                "order": "TO",
                "group_by": "user",
                "mode": "full",
            },
            "use_gpu": settings["device"] != "cpu",
            "seed": settings["seed"],
            "reproducibility": False,
            "show_progress": False,
            "state": "ERROR",
        },
    )


def top_items(model: SASRec, dataset: Any, histories: list[np.ndarray], history: int, repeated: bool) -> np.ndarray:
    """Return the top items of the users by RecBole's full-sort scores: int64 [V, 20].

    Items of the history are excluded, unless users repeat items.
    """
    model.eval()
    tokens = dataset.field2id_token["item_id"]
    numbers = {token: number for number, token in enumerate(tokens)}
    items = np.array([-1, *(int(token) for token in tokens[1:])])
    top = []
    for start in range(0, len(histories), RANKED_AT_A_TIME):
        batch = [
            np.array([numbers[str(item)] for item in items]) for items in histories[start : start + RANKED_AT_A_TIME]
        ]
        rows = torch.zeros(len(batch), history, dtype=torch.long)
        for row, own in zip(rows, batch, strict=True):
            latest = torch.from_numpy(own[-history:])
            row[: len(latest)] = latest
        lengths = torch.tensor([min(len(own), history) for own in batch])
        interaction = Interaction({"item_id_list": rows, "item_length": lengths}).to(model.device)
        with torch.no_grad():
            scores = model.full_sort_predict(interaction).cpu()  # [B, n]
        scores[:, 0] = -torch.inf
        if not repeated:
            for row, own in zip(scores, batch, strict=True):
                row[torch.from_numpy(own)] = -torch.inf
        top.append(items[scores.topk(TOP).indices.numpy()])
    return np.concatenate(top)


def main(split: Path, settings: dict[str, Any], out: Path) -> None:
    """Train, then rank with each snapshot."""
    torch.set_num_threads(settings["threads"])
    torch.set_flush_denormal(True)
    table = pd.read_csv(split / "training.csv")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / NAME
        folder.mkdir()
        names = {"user": "user_id:token", "item": "item_id:token", "position": "timestamp:float"}
        table.rename(columns=names).to_csv(folder / f"{NAME}.inter", sep="\t", index=False)
        config = make_config(settings, Path(temporary))
        init_seed(settings["seed"], reproducibility=False)
        dataset = create_dataset(config)
        examples, *_ = dataset.build()
        loader = TrainDataLoader(config, examples, None, shuffle=True)
        model = WatchedSASRec(config, loader.dataset).to(config["device"])
        model.watch(settings["seconds"], settings["interval"], settings["clock"])
        # In the temporary folder, because the trainer writes log_tensorboard/ to the current folder.
        with contextlib.suppress(TimeIsOver), contextlib.chdir(temporary):
            Trainer(config, model).fit(loader, saved=False, show_progress=False)
    users = pd.read_csv(split / "users.csv")["user"]
    by_user = dict(tuple(table.groupby("user")["item"]))
    histories = [by_user[user].to_numpy() for user in users]
    for line, state in zip(model.lines, model.states, strict=True):
        model.load_state_dict(state)
        top = top_items(model, dataset, histories, settings["history"], settings["repeated"])
        append(out, line, top)


if __name__ == "__main__":
    main(Path(sys.argv[1]), json.loads(Path(sys.argv[2]).read_text("utf-8")), Path(sys.argv[3]))
