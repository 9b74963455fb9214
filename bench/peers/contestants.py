"""The contestants: programs with the same three arguments, each with its settings and interpreter."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hierrec.core.errors import ModelError
from hierrec.model.params import TrainParams

from bench.peers.sample import ROOT

PEERS_PYTHON = ROOT / "bench" / ".peers" / "bin" / "python"
THEIRS = Path(__file__).parent / "theirs"
DROPOUT, PEERS_LEARNING_RATE = 0.2, 1e-3


@dataclass(frozen=True)
class Contestant:
    """A program, called as `command SPLIT SETTINGS OUT`.

    Attributes:
        command: interpreter and script.
        settings: its own settings, beside the common ones.
    """

    command: tuple[str, ...]
    settings: Mapping[str, Any]


def contestants(train: TrainParams, data: Path, item_embeddings: Path) -> dict[str, Contestant]:
    """Return ours, and the peers with the same width, blocks, heads, history, dropout and number of negatives.

    Args:
        train: section `train` of the project's params.
        data, item_embeddings: input folders of ours.
    """
    shape = _shape(train)
    ours = {"data": str(data.resolve()), "item_embeddings": str(item_embeddings.resolve())}
    return {
        "ours": Contestant(
            (sys.executable, "-m", "bench.peers.train_ours"),
            {
                **ours,
                "train": train.model_copy(update={"epochs": 10**6, "validate_every": 1}).model_dump(mode="json"),
            },
        ),
        # It draws negatives for each position: their vectors would take 7 GB with its default of 128 users.
        "rectools, sampled softmax": _peer("rectools_train.py", shape | {"loss": "sampled_softmax", "batch": 24}),
        "rectools, softmax": _peer("rectools_train.py", shape | {"loss": "softmax", "batch": 128}),
        # Its default batch of 2048 takes half a minute a step; small batches learn faster at the start.
        "recbole, softmax": _peer("recbole_train.py", shape | {"batch": 256}),
    }


def rectools_evaluation(train: TrainParams) -> Contestant:
    """Return RecTools' recommendations and metrics, for a model of the same shape with RecTools' default loss."""
    return _peer("rectools_evaluate.py", _shape(train) | {"loss": "softmax", "batch": 128})


def rectools_fit(settings: Mapping[str, Any]) -> Contestant:
    """Return RecTools' SASRec with the given settings, trained until validation no longer improves."""
    return _peer("rectools_fit.py", settings)


def missing() -> str | None:
    """Return why the peers cannot run, or None."""
    return None if PEERS_PYTHON.is_file() else "the peers' environment is missing: run `make bench-env`"


def run_contestant(contestant: Contestant, split: Path, common: Mapping[str, Any], out: Path) -> list[dict[str, Any]]:
    """Run a contestant; return the lines of its curve.

    Args:
        contestant: the program to run.
        split: output folder of `export_split`.
        common: common settings: seconds, interval, clock, threads, device, seed.
        out: empty folder for its output.

    Raises:
        ModelError: it failed; the message ends with its stderr.
    """
    settings = out / "settings.json"
    settings.write_text(json.dumps({**contestant.settings, **common}), "utf-8")
    threads = str(common["threads"])
    environment = {**os.environ, "OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads}
    command = [*contestant.command, str(split), str(settings), str(out)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    curve = out / "curve.jsonl"
    if done.returncode or not curve.is_file():
        raise ModelError(f"it failed: {done.stderr[-2000:]}", " ".join(contestant.command))
    return [json.loads(line) for line in curve.read_text("utf-8").splitlines()]


def _shape(train: TrainParams) -> dict[str, Any]:
    config = train.backbone.config
    return {
        "width": config["hidden_size"],
        "inner": config["intermediate_size"],
        "blocks": config["num_hidden_layers"],
        "heads": config["num_attention_heads"],
        "history": train.history,
        "dropout": DROPOUT,
        "negatives": train.negatives,
        "learning_rate": PEERS_LEARNING_RATE,
    }


def _peer(script: str, settings: Mapping[str, Any]) -> Contestant:
    return Contestant((str(PEERS_PYTHON), str(THEIRS / script)), settings)
