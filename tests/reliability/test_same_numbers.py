"""The same numbers for any process, threads and batches; other seeds give other numbers."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hierrec.core.files import read_details

from stages.workspace import environment, make_workspace
from tests.reliability.sample_stages import (
    AFTER_INGEST,
    EVALUATE,
    TRAIN,
    contents,
    metrics,
    run_stages,
    scramble,
)
from tests.sample_run import BRIEF

TOLERANCE = 0.005
"""Tolerance of a metric when the number of threads changes, and with it the order of sums."""

REPORT = ("evaluate_report",)

RUN = "import importlib, sys\nfor stage in sys.argv[1:]: importlib.import_module(f'stages.{stage}').main()"


@pytest.fixture(scope="module")
def expected(sample_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Artifacts after the sample's tables, with one thread, and global random generators in a state of their own."""
    scramble(1)
    return run_stages(sample_run, tmp_path_factory.mktemp("expected") / "project", AFTER_INGEST)


@pytest.fixture(scope="module")
def whole(expected: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, with the report."""
    return run_stages(expected.parent, tmp_path_factory.mktemp("whole") / "project", REPORT)


def test_folder_time_zone_locale_umask_and_seeds_of_the_process_do_not_matter(whole: Path, tmp_path: Path) -> None:
    """A new process has another hash seed, and random generators in another state than `expected` had."""
    folder, umask = tmp_path / "a\n [b]* run=3", 0o027
    make_workspace(folder, BRIEF)
    settings = {
        **{"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        **{"TZ": "Pacific/Apia", "PYTHONHASHSEED": "7"},
        **{"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    }
    command = [sys.executable, "-c", RUN, "ingest", *AFTER_INGEST, *REPORT]
    subprocess.run(command, cwd=folder, env={**environment(folder), **settings}, umask=umask, check=True)
    assert len(contents(whole)) > 20
    assert contents(folder / "artifacts") == contents(whole)
    modes = {(path.is_dir(), path.stat().st_mode & 0o777) for path in (folder / "artifacts").rglob("*")}
    assert modes == {(True, 0o777 & ~umask), (False, 0o666 & ~umask)}


def test_another_number_of_threads_moves_no_metric_by_more_than_the_tolerance(
    sample_run: Path, expected: Path, tmp_path: Path
) -> None:
    """The folder's name is not ASCII; a process whose locale is ASCII could not read its files."""
    folder = Path(shutil.copytree(sample_run, tmp_path / "Zażółć gęślą", symlinks=True))
    command = [sys.executable, "-c", RUN, *AFTER_INGEST]
    # Passive: on few cores, waiting threads must not keep working threads from a core.
    threads = {"OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2", "OMP_WAIT_POLICY": "PASSIVE"}
    subprocess.run(command, cwd=folder, env={**environment(folder), **threads}, check=True)
    again = folder / "artifacts"
    models = [contents(artifacts)["models/hierarchical/model.safetensors"] for artifacts in (expected, again)]
    assert models[0] != models[1], "the threads changed nothing, so this tests nothing"
    assert metrics(again) == pytest.approx(metrics(expected), abs=TOLERANCE)


def test_the_batches_of_encode_move_vectors_by_rounding_and_no_metric(
    sample_run: Path, expected: Path, tmp_path: Path
) -> None:
    again = run_stages(sample_run, tmp_path / "project", AFTER_INGEST, {"encode.batch_tokens": 96})
    vectors, others = (
        np.load(folder / "item_embeddings" / "embeddings.npy", allow_pickle=False) for folder in (expected, again)
    )
    np.testing.assert_allclose(others, vectors, atol=1e-5)
    assert metrics(again) == metrics(expected)


@pytest.mark.parametrize("batch_users", [1, 1000])
def test_the_batches_of_evaluate_change_no_byte(expected: Path, tmp_path: Path, batch_users: int) -> None:
    again = run_stages(expected.parent, tmp_path / "project", EVALUATE, {"evaluate.batch_users": batch_users})
    assert contents(again) == contents(expected)


def test_validation_of_rag_is_that_of_the_users_from_whom_its_fusion_did_not_learn(expected: Path) -> None:
    curve = pl.read_csv(expected / "plots" / "rag.csv")  # of these users
    best = curve.row(curve["ndcg@10"].arg_max() or 0, named=True)
    metrics = read_details(expected / "metrics" / "rag.json")
    assert metrics["validation"] == pytest.approx({name: best[name] for name in metrics["validation"]}, abs=1e-5)
    assert metrics["validation_users"] == metrics["users"] / 2


def test_another_training_seed_gives_another_model_and_fusion(expected: Path, tmp_path: Path) -> None:
    """The fusions are equal only if both runs keep the start, which has no seed."""
    another = run_stages(expected.parent, tmp_path / "project", TRAIN, {"train.seed": 2})
    other = contents(another)
    differing = {name for name, content in contents(expected).items() if other[name] != content}
    assert differing >= {"models/hierarchical/model.safetensors", "plots/rag.csv"}
    curves = [pl.read_csv(artifacts / "plots" / "rag.csv") for artifacts in (expected, another)]
    learned = [curve["ndcg@10"].arg_max() != 0 for curve in curves]
    assert ("models/rag/fusion.safetensors" in differing) == any(learned)
    assert differing >= {"ranks/hierarchical.parquet", "ranks/rag.parquet"}
    assert not {name for name in differing if name.startswith(("data", "item_embeddings", "index"))}


def test_another_evaluation_seed_gives_other_perturbations_and_intervals_and_the_same_metrics(
    expected: Path, tmp_path: Path
) -> None:
    other = run_stages(expected.parent, tmp_path / "project", EVALUATE, {"evaluate.seed": 2})
    assert metrics(other) == metrics(expected)
    for variant in ("hierarchical", "rag"):
        before, after = (read_details(folder / "metrics" / f"{variant}.json") for folder in (expected, other))
        assert before["intervals"] != after["intervals"]
        assert before["slices"]["perturbed"] != after["slices"]["perturbed"]
        assert before["slices"]["history"] == after["slices"]["history"]
