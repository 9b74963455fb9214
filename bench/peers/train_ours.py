"""Train our hierarchical variant for a limited time.

`python -m bench.peers.train_ours SPLIT SETTINGS OUT`, with the arguments of the peers' scripts.
"""

import contextlib
import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from hierrec.core.sequences import Sequences
from hierrec.model.checkpoint import CHOSEN_BY
from hierrec.model.ensemble import UserModel
from hierrec.model.inputs import load_inputs
from hierrec.model.params import TrainParams
from hierrec.model.scorer import Scorer
from hierrec.training.resume import TrainingState
from hierrec.training.start import untrained_model
from hierrec.training.trainer import fit
from numpy.typing import NDArray

from bench.peers.theirs.record import Stopwatch, append

TOP = 20
RANKED_AT_A_TIME = 256


class TimeIsOverError(Exception):
    """Ends a training whose own limit is a number of epochs."""


def main(split: Path, settings: dict[str, Any], out: Path) -> None:
    """Train with the project's own trainer; rank after each epoch while the clock is stopped."""
    torch.set_num_threads(settings["threads"])
    torch.set_flush_denormal(True)  # as the stage does
    inputs = load_inputs(Path(settings["data"]), Path(settings["item_embeddings"]))
    params = TrainParams.model_validate(settings["train"] | {"seed": settings["seed"]})
    users = np.loadtxt(split / "users.csv", np.int64, skiprows=1, ndmin=1)
    per_epoch = int(np.maximum(inputs.sequences.train_length - 1, 0).sum())
    epochs = 0
    watch = Stopwatch()
    model = untrained_model(params, inputs.frozen, inputs.sequences)

    def snapshot(model: UserModel) -> dict[str, float]:
        nonlocal epochs
        epochs += 1
        times = watch.read()
        watch.pause()
        top = top_items(model, inputs.sequences, inputs.candidates, users)
        append(out, {**times, "interactions": epochs * per_epoch}, top)
        watch.resume()
        if times[settings["clock"]] >= settings["seconds"]:
            raise TimeIsOverError
        return {CHOSEN_BY: float(epochs)}  # never stops early

    with TemporaryDirectory() as folder, contextlib.suppress(TimeIsOverError):
        fit(model, inputs.sequences, snapshot, TrainingState(Path(folder), "state"))


def top_items(
    model: UserModel,
    sequences: Sequences,
    candidates: NDArray[np.bool_],
    users: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Return each user's top items, given the training items: int64 [V, 20]."""
    scorer = Scorer(model, candidates, dtype=torch.float32, sequences=sequences)
    top = []
    for start in range(0, len(users), RANKED_AT_A_TIME):
        batch = users[start : start + RANKED_AT_A_TIME]
        scores = scorer.score([sequences.training_items(user) for user in batch], batch).scores  # [B, n]
        top.append(scores.topk(TOP).indices.numpy())
    return np.concatenate(top)


if __name__ == "__main__":
    main(Path(sys.argv[1]), json.loads(Path(sys.argv[2]).read_text("utf-8")), Path(sys.argv[3]))
