"""`python -m tests.training.several FOLDER`: trainings in several processes, as JSON.

Each process is forked from this one before it computes anything, and joins the others as under torchrun.
"""

import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hierrec.core.errors import HierrecError
from hierrec.model.checkpoint import new_model
from hierrec.model.ensemble import UserModel
from hierrec.training.batches import Batch
from hierrec.training.distributed import Processes, joined
from hierrec.training.resume import Progress, TrainingState
from hierrec.training.trainer import fit
from torch import nn
from torch.distributed import distributed_c10d

from tests.model.world import ITEMS, PHI3, make_sequences, with_backbone
from tests.old_artifacts.make import TRAIN

PARAMS = with_backbone(TRAIN, PHI3 | {"resid_pdrop": 0.0}).model_copy(
    update={
        "input_dropout": 0.0,
        "loss": "sampled_softmax",
        "negatives": 16,
        "learning_rate": 1e-2,
        "epochs": 4,
        "batch_windows": 8,
        "validate_every": 1,
        "patience": 10,
        "average": 0.5,
    }
)
DROPPING: dict[str, Any] = {"input_dropout": 0.3, "residual_dropout": 0.3}
USERS = [(start + np.arange(2 + start % 9)) % ITEMS for start in range(41)]
"""41 windows of 1 to 8 positions, in batches of 8: the last has one, so only one process has work there."""


@dataclass(frozen=True)
class Doomed(Processes):
    """Kills its process in the midst of an epoch, before it has read its share of a batch."""

    batches: int = 0

    def share(self, batch: Batch) -> tuple[Batch, float]:
        """Count down, then die."""
        object.__setattr__(self, "batches", self.batches - 1)
        if self.batches < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().share(batch)


class Late(TrainingState):
    """Reads late."""

    def restore(self, model: nn.Module, average: nn.Module, optimizer: torch.optim.Optimizer) -> Progress:
        """Wait, then read."""
        time.sleep(0.5)
        return super().restore(model, average, optimizer)


def train(
    folder: Path, params: dict[str, Any], kill_after: int | None, finished: bool, sessions: bool = False
) -> dict[str, Any]:
    """Train as one of the processes; return what it ends with.

    Args:
        folder: of the state.
        params: changes to `PARAMS`.
        kill_after: batches after which the last process is killed; None: it is not.
        finished: nothing is left to do; the first process removes the state, which the last one reads late.
        sessions: users take items again, and every third item starts a session.
    """
    chosen = PARAMS.model_copy(update=params)
    vectors = np.random.default_rng(0).standard_normal((ITEMS, 8)).astype(np.float32)
    model, sequences = new_model(chosen, vectors, sessions, sessions), make_sequences(USERS)
    if sessions:
        starts = np.arange(len(sequences.items)) % 3 == 0
        sequences = replace(sequences, repeated=True, session_starts=starts)
    validations = 0

    def validate(averaged: UserModel) -> dict[str, float]:
        nonlocal validations
        validations += 1
        residuals = [member.items.residual.detach().numpy() for member in averaged.members]  # on the CPU
        return {"ndcg@10": float(np.abs(residuals).sum())}  # from zero: they grow

    try:
        with joined(chosen.processes) as processes:
            last = processes.rank == processes.count - 1
            if last and kill_after is not None:
                processes = Doomed(processes.rank, processes.count, kill_after)
            state = (Late if last and finished else TrainingState)(folder, "key")
            progress = fit(model, sequences, validate, state, processes)
            if finished and processes.first:
                state.remove()
    except HierrecError as error:
        return {"error": str(error)}
    weights = torch.cat([weights.detach().flatten() for weights in model.parameters()])
    return {
        "weights": weights.tolist(),
        "dtype": str(weights.dtype),
        "sha256": sha256(weights.numpy().tobytes()).hexdigest(),
        "losses": [record["train_loss"] for record in progress.curve],
        "validations": validations,
    }


def slow_validation() -> str:
    """Validate longer than torch lets the others wait; return the answer."""
    distributed_c10d.default_pg_timeout = timedelta(seconds=1)
    with joined(2) as processes:
        return processes.from_first(lambda: time.sleep(3) or "validated")


def in_forks(count: int, experiment: Callable[[], Any]) -> list[Any]:
    """Return what an experiment returns in each of so many processes, by rank; None for one that was killed."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    readers, pids = [], []
    for rank in range(count):
        reading, writing = os.pipe()
        pid = os.fork()
        if not pid:
            os.environ |= {"RANK": str(rank), "WORLD_SIZE": str(count), "LOCAL_WORLD_SIZE": str(count)}
            os.environ |= {"MASTER_ADDR": "localhost", "MASTER_PORT": str(port)}
            torch.set_num_threads(1)
            with os.fdopen(writing, "w") as file:  # not `os.write`, which may write a part only
                json.dump(experiment(), file)
            os._exit(0)
        os.close(writing)
        readers.append(reading)
        pids.append(pid)
    answers = []
    for reading in readers:
        with os.fdopen(reading, "rb") as file:
            answers.append(file.read())
    for pid in pids:
        os.waitpid(pid, 0)
    return [json.loads(answer) if answer else None for answer in answers]


def main(folder: Path) -> None:
    """Run all trainings."""

    def run(
        name: str,
        processes: int,
        kill_after: int | None = None,
        finished: bool = False,
        sessions: bool = False,
        **params: Any,
    ) -> list[Any]:
        params["processes"] = processes
        return in_forks(processes, lambda: train(folder / name, params, kill_after, finished, sessions))

    results = {
        "1": run("1", 1),
        "2": run("2", 2),
        "3": run("3", 3),
        "1, two members": run("1-members", 1, loss="softmax", members=2),
        "2, two members": run("2-members", 2, loss="softmax", members=2),
        "1, sessions": run("1-sessions", 1, sessions=True),
        "2, sessions": run("2-sessions", 2, sessions=True),
        "1, bfloat16": run("1-bfloat16", 1, precision="bfloat16"),
        "2, bfloat16": run("2-bfloat16", 2, precision="bfloat16"),
        "3, dropout": run("3-dropout", 3, **DROPPING),
        "killed": run("killed", 3, kill_after=15, **DROPPING),
        "resumed": run("killed", 3, **DROPPING),
        "finished": run("killed", 3, finished=True, **DROPPING),
        "slow validation": in_forks(2, slow_validation),
    }
    print(json.dumps(results))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
