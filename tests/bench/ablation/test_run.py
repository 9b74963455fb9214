"""A run trains and evaluates one combination. A skipped or repeated combination is not trained."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.ablation.plan import row_of
from bench.ablation.run import run
from bench.ablation.training import Data
from bench.ablation.vector_files import write_vectors
from tests.bench.ablation.conftest import TINY


@pytest.fixture
def row(document: dict[str, Any]) -> dict[str, Any]:
    return row_of(document, 1, TINY)


def random_codes(data: Data, width: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((len(data.items), width), np.float32)


def test_it_measures_validation_and_test_and_is_repeatable(data: Data, vectors: Path, row: dict[str, Any]) -> None:
    write_vectors(vectors, random_codes(data, width=24))
    result, _ = run(data, vectors, row, seed=1)
    assert set(result) == {"validation", "test", "parameters"}
    assert set(result["test"]) >= {"ndcg@10", "ndcg@20", "recall@10", "recall@20"}
    assert run(data, vectors, row, seed=1)[0] == result
    assert run(data, vectors, row, seed=2)[0] != result


def test_the_cost_is_the_time_that_training_took(data: Data, vectors: Path, row: dict[str, Any]) -> None:
    write_vectors(vectors, random_codes(data, width=24))
    # Costs have one decimal: an epoch takes a twentieth of a second here, and would round to zero.
    longer = {**row, "train": {**row["train"], "epochs": 30}}
    clocks = {"train_seconds": time.perf_counter, "train_cpu_seconds": time.process_time}
    started = {key: clock() for key, clock in clocks.items()}
    _, cost = run(data, vectors, longer, seed=1)
    rounding = 0.05
    for key, clock in clocks.items():
        assert 0 < cost[key] <= clock() - started[key] + rounding, key
    whole = time.process_time() - started["train_cpu_seconds"]
    assert cost["train_cpu_seconds"] > whole / 2 - rounding  # the rest is the evaluation


def test_ids_alone_make_a_model_that_learns(data: Data, vectors: Path, row: dict[str, Any]) -> None:
    write_vectors(vectors, random_codes(data, width=0))
    longer = {**row, "train": {**row["train"], "epochs": 6}}
    result, _ = run(data, vectors, longer, seed=1)
    chance = 10 / int(data.candidates.sum())
    assert result["validation"]["recall@10"] > 2 * chance


def test_skipped_vectors_skip_the_run(data: Data, vectors: Path, row: dict[str, Any]) -> None:
    write_vectors(vectors, "no abstracts")
    assert run(data, vectors, row, seed=1) == ({"skipped": "no abstracts"}, {})


def test_a_row_that_is_the_same_is_not_run(data: Data, vectors: Path) -> None:
    assert run(data, vectors, {"same_as": "default"}, seed=1) == ({"same_as": "default"}, {})
