"""`python -m tests.reliability.experiments FOLDER`: experiments outside the process of the tests, as JSON.

Memory that runs out, interrupts and kills, each in a process forked from this one before it computes anything.
"""

import json
import os
import resource
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hierrec.core.errors import OutOfMemoryError
from hierrec.core.files import cache_dir
from hierrec.encode import encode_items, row_cache
from hierrec.encode.encoder import ItemEncoder
from hierrec.encode.row_cache import encode_texts
from hierrec.model.checkpoint import new_model
from hierrec.model.ensemble import UserModel
from hierrec.training.resume import TrainingState
from hierrec.training.trainer import fit

from bench.torture import forked
from bench.torture.workspace import Workspace, differences
from tests.encode.encoders import encode_params, item_encoder
from tests.model.world import ITEMS, make_sequences
from tests.old_artifacts.make import TRAIN

TEXTS = [f"Film {number}. A thief, a detective, a city of light and glass." * 3 for number in range(48)]
BATCH, MEBIBYTE = 8192, 2**20
INTERRUPTS = {"ingest": 10, "encode": 20, "index": 4, "train_hierarchical": 20}
"""Stage, and the write before which it is interrupted."""


def in_a_fork(experiment: Callable[[], Any]) -> Any:
    """Return what an experiment returns in a process of its own; None if it was killed."""
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        os.write(writing, json.dumps(experiment()).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as file:
        answer = file.read()
    os.waitpid(pid, 0)
    return json.loads(answer) if answer else None


def memory(mebibytes: int, max_length: int, texts: list[str]) -> dict[str, Any]:
    """Encode with little more memory than the model takes; compare with a run of the batch size that was found."""
    encoder = item_encoder("t5-nano", max_length)
    encoder.encode(TEXTS[:1], 64)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    limits = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + mebibytes * MEBIBYTE, limits[1]))
    try:
        vectors, _, found = encode_items._encode(encoder, texts, BATCH, [f"item {row}" for row in range(len(texts))])
    except OutOfMemoryError as error:
        return {"error": str(error)}
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)
    return {"batch_tokens": found, "equal": np.array_equal(vectors, encoder.encode(texts, found))}


def encode(log: Path, kill_at: int | None) -> int:
    """Encode with a cache file per batch, killed in the midst of a write; return how many texts were encoded."""

    class Logged(ItemEncoder):
        def batches(self, *args: Any, **kwargs: Any) -> Any:
            for places, vectors in super().batches(*args, **kwargs):
                with log.open("a") as file:
                    file.write(f"{len(places)}\n")
                yield places, vectors

    row_cache.SAVE_SECONDS = 0.0
    encoder = Logged.of(encode_params("t5-nano", 128))
    if kill_at is not None:
        sys.addaudithook(forked.Bomb(kill_at, signal.SIGKILL))
    texts = [f"Film {number}" for number in range(120)]
    return encode_texts(encoder, texts, 32, texts, cache_dir("encode"))[1]


def train(folder: Path, log: Path, kill_in: int | None) -> str:
    """Train, killed at the end of an epoch, before its state is saved; return the weights in hexadecimal."""
    params = TRAIN.model_copy(update={"epochs": 6, "batch_windows": 8, "patience": 10})
    vectors = np.random.default_rng(0).standard_normal((ITEMS, 8)).astype(np.float32)
    users = [(start + np.arange(9)) % ITEMS for start in range(20)]

    def validate(_: UserModel) -> dict[str, float]:
        with log.open("a") as file:
            file.write("epoch\n")
        if kill_in is not None and len(log.read_text().splitlines()) == kill_in:
            os.kill(os.getpid(), signal.SIGKILL)
        return {"ndcg@10": 0.5}

    model = new_model(params, vectors)
    fit(model, make_sequences(users), validate, TrainingState(folder, "key"))
    return torch.cat([weights.detach().flatten() for weights in model.parameters()]).numpy().tobytes().hex()


CURVE = "artifacts/plots/hierarchical.csv"
"""It grows with each validation: an interrupted training leaves its first rows."""


def interrupts(folder: Path) -> dict[str, Any]:
    """Press Ctrl-C in the midst of stages, then run them again."""
    workspace, found = Workspace.make(folder), {}
    for stage, number in INTERRUPTS.items():
        forked.run(workspace, stage)
        expected, curve = workspace.contents(), workspace.folder / CURVE
        whole = curve.read_text() if curve.is_file() else ""
        workspace.forget(stage)
        before = workspace.contents()
        status, output = forked.interrupt_before_write(workspace, stage, number)
        known = {CURVE} if curve.is_file() and whole.startswith(curve.read_text()) else set()
        half = [
            path
            for path, text in workspace.contents().items()
            if text not in (expected.get(path), before.get(path)) and not path.startswith(".cache/train/")
        ]
        workspace.remove_outs(stage)
        forked.run(workspace, stage)
        again = differences(workspace.contents(), expected)
        found[stage] = {"status": status, "output": output, "half": sorted({*half} - known), "differs": again}
    return found


def main(folder: Path) -> None:
    """Run all experiments."""
    os.environ["HIERREC_CACHE"] = str(folder / ".cache")
    encoded, trained = folder / "encoded", folder / "trained"

    def encode_logged(kill_at: int | None) -> tuple[int | None, list[str]]:
        return in_a_fork(lambda: encode(encoded, kill_at)), encoded.read_text().split()

    def train_logged(kill_in: int | None) -> tuple[str | None, list[str]]:
        return in_a_fork(lambda: train(folder / "killed", trained, kill_in)), trained.read_text().split()

    results = {
        "reduced": in_a_fork(lambda: memory(8, 128, TEXTS)),
        "too_large": in_a_fork(lambda: memory(8, 4096, [" ".join(TEXTS)])),
        "encode": [*encode_logged(40), *encode_logged(None)],
        "train": [*train_logged(4), *train_logged(None)],
        "undisturbed": in_a_fork(lambda: train(folder / "whole", folder / "log", None)),
        "interrupts": interrupts(folder / "workspace"),
    }
    print(json.dumps(results))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
