"""Shared by the comparisons: a sample of users, a timed training, results.json."""

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import numpy as np
from hierrec.core.files import write_json
from hierrec.core.sequences import Sequences
from hierrec.model.inputs import Inputs
from hierrec.model.params import TrainParams
from hierrec.params import load_params
from hierrec.training.resume import Progress, TrainingState
from hierrec.training.start import untrained_model
from hierrec.training.trainer import fit, validator

RESULTS = Path(__file__).with_name("results.json")
folder = click.Path(exists=True, file_okay=False, path_type=Path)


class Watched(TrainingState):
    """Prints each validation, and ends the training after `seconds` of CPU time. Writes no state."""

    def __init__(self, seconds: float | None = None) -> None:
        self.start, self.seconds, self.curve = time.process_time(), seconds, None

    def restore(self, model: Any, average: Any, optimizer: Any) -> Progress:
        return Progress()

    def save(self, model: Any, average: Any, optimizer: Any, progress: Progress) -> None:
        used = time.process_time() - self.start
        if progress.curve and progress.curve[-1]["epoch"] == progress.epoch:
            progress.curve[-1]["cpu_seconds"] = round(used)
            click.echo(json.dumps(progress.curve[-1]))
        if self.seconds and used > self.seconds:
            progress.stale = 10**9


def some_users(inputs: Inputs, step: int, longest: int | None = None) -> Inputs:
    """Keep every `step`-th user of a leave-one-out split, with the latest `longest` training items."""
    old = inputs.sequences
    users = np.arange(0, old.user_count, step)
    starts = old.offsets[users]
    if longest is not None:
        starts = np.maximum(starts, old.offsets[users] + old.train_length[users] - longest)
    skipped = starts - old.offsets[users]
    parts = [old.items[start:stop] for start, stop in zip(starts, old.offsets[users + 1], strict=True)]
    sequences = Sequences(
        items=np.concatenate(parts),
        offsets=np.cumsum([0, *map(len, parts)]),
        train_length=old.train_length[users] - skipped,
        test_length=old.test_length[users] - skipped,
        validation=old.validation[users],
        test=old.test[users],
    )
    return replace(inputs, sequences=sequences)


def train(inputs: Inputs, changes: dict[str, Any], seconds: float | None = None) -> dict[str, Any]:
    """Train the model of params.yaml with changes to section `train`; return metrics and cost."""
    default = load_params(Path("params.yaml")).train.model_dump()
    params = TrainParams.model_validate({**default, "shrinkage": 0.0, **changes})
    start = time.process_time()
    model = untrained_model(params, inputs.frozen, inputs.sequences)
    progress = fit(model, inputs.sequences, validator(inputs.sequences, inputs.validation_candidates), Watched(seconds))
    return {
        "ndcg@10": round(progress.best_metric, 4),
        "recall@10": round(max(row["recall@10"] for row in progress.curve), 4),
        "epochs": progress.epoch,
        "cpu_seconds": round(time.process_time() - start),
        "curve": [[row["epoch"], round(row["ndcg@10"], 4), row.get("cpu_seconds")] for row in progress.curve],
    }


def record(section: str, name: str, result: dict[str, Any]) -> None:
    """Print a result and write it to results.json."""
    results = json.loads(RESULTS.read_text("utf-8")) if RESULTS.exists() else {}
    results.setdefault(section, {})[name] = result
    click.echo(f"{section}, {name}: {result}")
    write_json(RESULTS, results)
