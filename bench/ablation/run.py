"""Stage `run VECTORS ROW SEED`: train and evaluate one combination.

Writes `results/runs/VECTORS/ROW-SEED.json`: metrics on validation and test, and the number of parameters; or why the
run is skipped; or the equal row. Writes `results/costs/…`: the seconds of the training.
"""

import time
from pathlib import Path
from typing import Any

import torch
from hierrec.core.files import read_json, write_json
from hierrec.model.scorer import Scorer
from hierrec.ranking.evaluator import rank_targets
from hierrec.ranking.metrics import metrics_from_ranks
from hierrec.training.trainer import BATCH_USERS

from bench.ablation.settings import HERE, RESULTS, WORK, command, load_settings
from bench.ablation.training import Data, frozen_vectors, load_data, train, train_params
from bench.ablation.vector_files import read_vectors


def main(vectors: str, row: str, seed: str) -> None:
    """Train and evaluate one combination; write its result and cost."""
    planned = read_json(WORK / "plan" / "rows" / f"{row}.json")
    data = load_data(HERE / load_settings().data)
    result, cost = run(data, WORK / "vectors" / vectors, planned, int(seed))
    write_json(RESULTS / "runs" / vectors / f"{row}-{seed}.json", result)
    write_json(RESULTS / "costs" / vectors / f"{row}-{seed}.json", cost)


def run(data: Data, vectors: Path, row: dict[str, Any], seed: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Train and evaluate.

    Args:
        data: the whole data set.
        vectors: folder of the item vectors.
        row: the row's settings from the plan.
        seed: of the training.

    Returns:
        The result, `{"validation": {...}, "test": {...}, "parameters": n}`, and its cost, `{"train_seconds": s,
        "train_cpu_seconds": s, "threads": n}`; or `{"skipped": reason}` or `{"same_as": row}`, at no cost, `{}`.
    """
    if "same_as" in row:
        return row, {}
    raw = read_vectors(vectors)
    if isinstance(raw, str):
        return {"skipped": raw}, {}
    frozen, params = frozen_vectors(raw, row["whitening_dimension"]), train_params(row, seed)
    sequences = data.sequences
    clocks = (time.perf_counter, time.process_time)
    started = [clock() for clock in clocks]
    model = train(sequences, data.candidates, frozen, params)
    seconds, cpu_seconds = (round(clock() - start, 1) for clock, start in zip(clocks, started, strict=True))
    scorer = Scorer(model, data.candidates, sequences=sequences)
    splits = {
        "validation": (sequences.validation_histories(), sequences.validation),
        "test": (sequences.test_histories(), sequences.test),
    }
    metrics = {
        split: metrics_from_ranks(
            rank_targets(scorer, histories, targets, data.candidates, BATCH_USERS, repeated=sequences.repeated)
        )
        for split, (histories, targets) in splits.items()
    }
    parameters = sum(parameter.numel() for parameter in model.parameters())
    cost = {"train_seconds": seconds, "train_cpu_seconds": cpu_seconds, "threads": torch.get_num_threads()}
    return {**metrics, "parameters": parameters}, cost


if __name__ == "__main__":
    command(main)
