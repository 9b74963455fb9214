"""`hierrec metrics`."""

import json
import os
import pty
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from hierrec.core.files import read_details, write_details, write_json
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.cli.imports import slow_imports
from tests.cli.metrics_files import SPLITS, write_metrics

Run = Callable[..., Result]


def test_metrics_stand_in_a_table(run: Run, tmp_path: Path) -> None:
    write_metrics(tmp_path)
    result = run("metrics", "--artifacts", str(tmp_path))
    assert result.exit_code == 0
    assert result.output.splitlines() == [
        "model         split       ndcg@10  recall@10",
        "hierarchical  validation   0.5000     0.2500",
        "hierarchical  test         0.1250     1.0000",
        "rag           validation   0.5000     0.2500",
        "rag           test         0.1250     1.0000",
        "data: 30 items, 1,200 users",
        "run: not under git",
    ]


def test_the_baselines_stand_above_the_variants(run: Run, tmp_path: Path) -> None:
    write_metrics(tmp_path)
    write_json(tmp_path / "metrics" / "baselines.json", {"popularity": SPLITS, "markov": SPLITS})
    result = run("metrics", "--artifacts", str(tmp_path))
    names = [line.split()[0] for line in result.output.splitlines()[1:-2:2]]
    assert names == ["markov", "popularity", "hierarchical", "rag"]


def test_the_users_of_each_split_are_counted(run: Run, tmp_path: Path) -> None:
    write_metrics(tmp_path)
    write_details(tmp_path / "metrics" / "hierarchical.json", {**SPLITS, "validation_users": 3020, "users": 6040})
    lines = run("metrics", "--artifacts", str(tmp_path)).output.splitlines()
    assert lines[5] == "users: 3,020 in validation (the fusion learns from the others), 6,040 in test"


def test_what_was_fitted_again_stands_below_and_may_be_switched_off(run: Run, tmp_path: Path) -> None:
    write_metrics(tmp_path)
    again = {variant: {"test": SPLITS["test"]} for variant in ("hierarchical", "rag")}
    write_json(tmp_path / "metrics" / "refit.json", again)
    result = run("metrics", "--artifacts", str(tmp_path))
    lines = result.output.splitlines()
    assert [line.split("  ")[0] for line in lines[5:7]] == ["hierarchical", "rag"]
    assert all("test, fitted again   0.1250     1.0000" in line for line in lines[5:7])
    write_json(tmp_path / "metrics" / "refit.json", {"rag": {"test": {"ndcg@10": 2}}})
    assert "dvc repro evaluate_refit" in run("metrics", "--artifacts", str(tmp_path)).stderr
    write_json(tmp_path / "metrics" / "refit.json", {})
    assert "fitted again" not in run("metrics", "--artifacts", str(tmp_path)).output


@pytest.mark.parametrize("lock", ["", "stages: 3", "a: [", "stages: {evaluate_rag: {deps: [{path: 1}]}}"])
def test_without_a_lock_that_can_be_read_nothing_is_outdated(run: Run, tmp_path: Path, lock: str) -> None:
    write_metrics(tmp_path / "artifacts")
    (tmp_path / "dvc.lock").write_text(lock)
    result = run("metrics", "--artifacts", str(tmp_path / "artifacts"))
    assert (result.exit_code, result.stderr) == (0, "")


def test_a_stage_that_has_not_run_since_its_input_changed_is_named(run: Run, tmp_path: Path) -> None:
    write_metrics(tmp_path / "artifacts")
    model = "artifacts/models/rag"
    stages = {name: {"deps": [{"path": model, "md5": "new"}]} for name in ("evaluate_rag", "train@refit")}
    stages["train_rag"] = {"outs": [{"path": model, "md5": "new"}]}
    for md5 in ("old", "new"):
        stages["train@refit"]["deps"][0]["md5"] = md5
        write_json(tmp_path / "dvc.lock", {"stages": stages})  # JSON is YAML
        result = run("metrics", "--artifacts", str(tmp_path / "artifacts"))
        assert result.exit_code == 0
        assert ("changed: train@refit: these" in result.stderr) == (md5 == "old")


def test_params_of_another_run_give_a_warning(run: Run, tmp_path: Path) -> None:
    write_metrics(tmp_path / "artifacts")
    params = {"fusion": {"neighbours": 20, "steps": 9}, "train": {"epochs": 3}}
    write_json(tmp_path / "dvc.lock", {"stages": {"train_rag": {"params": {"params.yaml": params}}}})
    for neighbours in (20, 33):
        params["fusion"]["neighbours"] = neighbours
        write_json(tmp_path / "params.yaml", {**params, "evaluate": {}})
        result = run("metrics", "--artifacts", str(tmp_path / "artifacts"))
        assert ("has changed since the run (section fusion)" in result.stderr) == (neighbours == 33)


@pytest.mark.parametrize("baselines", [[], 3, {"a\nb": SPLITS}, {"markov": {}}, {"markov": {**SPLITS, "test": 1}}])
def test_baselines_that_are_none_give_one_message(run: Run, tmp_path: Path, baselines: Any) -> None:
    write_metrics(tmp_path)
    write_json(tmp_path / "metrics" / "baselines.json", baselines)
    result = run("metrics", "--artifacts", str(tmp_path))
    assert (result.exit_code, result.stdout) == (1, "")
    assert "dvc repro evaluate_baselines" in result.stderr


def test_the_commit_of_the_metrics_is_named(run: Run, tmp_path: Path) -> None:
    write_metrics(tmp_path)
    settings = ["-c", "user.name=tester", "-c", "user.email=tester@example.org"]
    for command in (["init", "--quiet"], ["add", "."], [*settings, "commit", "--quiet", "-m", "a run"]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    head = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=tmp_path, capture_output=True, text=True)
    assert f"run: committed in {head.stdout.strip()} of 20" in run("metrics", "--artifacts", str(tmp_path)).output
    write_metrics(tmp_path, {**SPLITS, "users": 3})
    assert "run: of this folder, not committed" in run("metrics", "--artifacts", str(tmp_path)).output


def test_diff_shows_the_change_since_a_commit_with_intervals_and_the_changed_params(
    run: Run, tmp_path: Path, committed: Callable[..., None]
) -> None:
    committed(SPLITS, epochs=2)
    interval = {"test": {"ndcg@10": {"low": 0.2, "high": 0.3}}}
    better = {**SPLITS, "test": {"ndcg@10": 0.25, "recall@10": 1.0}, "intervals": interval}
    committed(better, epochs=3, refit={"rag": {"test": {"ndcg@10": 0.5}}})
    result = run("metrics", "--artifacts", str(tmp_path), "--diff", "HEAD~1")
    assert result.exit_code == 0, result.stderr
    *rows, params, origin = result.output.splitlines()
    assert rows == [
        "model              test metric     now      95% interval  HEAD~1   change",
        "hierarchical       ndcg@10      0.1250                    0.1250  +0.0000",
        "hierarchical       recall@10    1.0000                    1.0000  +0.0000",
        "rag                ndcg@10      0.2500  0.2000 to 0.3000  0.1250  +0.1250",
        "rag                recall@10    1.0000                    1.0000  +0.0000",
        "rag, fitted again  ndcg@10      0.5000",
    ]
    assert params == "params: train.epochs: 2 → 3"
    assert "compared with" in origin


def test_a_comparison_with_other_data_gives_a_warning(run: Run, tmp_path: Path, committed: Callable[..., None]) -> None:
    committed(SPLITS, epochs=2)
    for params, warned in (("train: {epochs: 3}", False), ("ingest: {dataset: files}", True)):
        (tmp_path / "params.yaml").write_text(params)
        result = run("metrics", "--artifacts", str(tmp_path), "--diff", "HEAD")
        assert result.exit_code == 0
        assert ("other data than in" in result.stderr) == warned
    (tmp_path / "params.yaml").write_text("train: {epochs: 3}")
    write_json(tmp_path / "metrics" / "data.json", {"users": 1_300, "items": 30})
    assert "other data than in" in run("metrics", "--artifacts", str(tmp_path), "--diff", "HEAD").stderr


def test_what_cannot_be_compared_gives_one_message(
    run: Run, tmp_path: Path, committed: Callable[..., None], tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    write_metrics(elsewhere)
    committed({}, epochs=2, hierarchical=[], refit=3)
    write_metrics(tmp_path)
    for folder, revision, message in (
        (tmp_path, "nosuch", "there is no commit 'nosuch'"),
        (tmp_path, "-p", "there is no commit '-p'"),
        (tmp_path, "HEAD", "HEAD has no metrics"),
        (elsewhere, "HEAD", "not under git"),
    ):
        result = run("metrics", "--artifacts", str(folder), "--diff", revision)
        assert (result.exit_code, result.stdout) == (1, "")
        assert message in result.stderr
    committed(SPLITS, epochs=2)
    (tmp_path / "metrics" / "rag.json").write_text("[]")
    assert "dvc repro evaluate_rag" in run("metrics", "--artifacts", str(tmp_path), "--diff", "HEAD").stderr
    write_metrics(tmp_path)
    shutil.rmtree(tmp_path / ".dvc")
    assert "DVC cannot compare" in run("metrics", "--artifacts", str(tmp_path), "--diff", "HEAD").stderr


def test_the_data_set_is_named(run: Run, tmp_path: Path) -> None:
    write_metrics(tmp_path)
    write_json(tmp_path / "data" / "manifest.json", {"dataset": "ml-1m"})
    assert "data: ml-1m: 30 items, 1,200 users" in run("metrics", "--artifacts", str(tmp_path)).output


@pytest.mark.parametrize("counts", [[], None, {"users": "many"}, {"users": 1.5}, {"users": True}, {"a\nb": 1}])
def test_counts_that_are_none_give_one_message(run: Run, tmp_path: Path, counts: Any) -> None:
    write_metrics(tmp_path)
    write_json(tmp_path / "metrics" / "data.json", counts)
    result = run("metrics", "--artifacts", str(tmp_path))
    assert (result.exit_code, result.stdout) == (1, "")
    assert "holds no counts of the data" in result.stderr


def test_a_full_disk_gives_one_message_and_a_closed_pipe_none(tmp_path: Path) -> None:
    write_metrics(tmp_path)
    command = f"{sys.executable} -m hierrec metrics --artifacts {tmp_path}"
    full = subprocess.run(f"{command} > /dev/full", shell=True, capture_output=True, text=True)
    assert full.returncode == 1
    assert full.stderr.splitlines()[0] == "error: output: cannot be written (No space left on device)"
    closed = subprocess.run(f"{command} | true", shell=True, capture_output=True, text=True)
    assert closed.stderr == ""


def test_at_a_terminal_the_table_has_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_metrics(tmp_path)
    monkeypatch.setenv("TERM", "xterm")
    shown = bytearray()

    def read(terminal: int) -> bytes:
        part = os.read(terminal, 4096)
        shown.extend(part)
        return part

    status = pty.spawn([sys.executable, "-m", "hierrec", "metrics", "--artifacts", str(tmp_path)], read)
    output = shown.decode("utf-8")
    assert status == 0, output
    assert "╭" in output
    assert "0.1250" in output


@pytest.mark.parametrize(
    "rag",
    [
        {},
        [],
        None,
        {"validation": SPLITS["validation"]},
        {**SPLITS, "test": {}},
        {**SPLITS, "test": None},
        {**SPLITS, "test": {"ndcg@10": 0.5}},
        {**SPLITS, "test": {"ndcg@10": "high", "recall@10": 1}},
        {**SPLITS, "test": {"ndcg@10": float("nan"), "recall@10": 1}},
        {**SPLITS, "test": {"ndcg@10": True, "recall@10": 1}},
        {**SPLITS, "test": {"ndcg@10": 1.5, "recall@10": 1}},
        {**SPLITS, "test": {"ndcg@10": 10**400, "recall@10": 1}},
        {**SPLITS, "test": [0.5, 1]},
    ],
)
def test_metrics_that_are_none_give_one_message(run: Run, tmp_path: Path, rag: Any) -> None:
    write_metrics(tmp_path, rag)
    result = run("metrics", "--artifacts", str(tmp_path))
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.startswith("error: the metrics of rag ")
    assert "dvc repro evaluate_rag" in result.stderr


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.just(10**400) | st.floats() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["validation", "test", "ndcg@10", "users", "\ud800"]), inner)
    ),
    max_leaves=6,
)


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(["hierarchical", "rag", "baselines", "data"]),
    st.sampled_from([[], ["test"], ["test", "ndcg@10"], ["test", "\ud800"], ["users"], ["\ud800"]]),
    VALUES,
)
def test_no_content_of_the_files_is_an_unforeseen_error(
    run: Run, tmp_path: Path, name: str, place: list[str], value: Any
) -> None:
    write_metrics(tmp_path)
    write_json(tmp_path / "metrics" / "baselines.json", {"test": SPLITS})
    path = tmp_path / "metrics" / f"{name}.json"
    damaged = read_details(path)
    for key in reversed(place):
        value = {key: value}
    if isinstance(value, dict):  # change one place of a valid file
        for key, inner in value.items():
            both = isinstance(inner, dict) and isinstance(damaged.get(key), dict)
            damaged[key] = {**damaged[key], **inner} if both else inner
        value = damaged
    path.write_text(json.dumps(value))
    result = run("metrics", "--artifacts", str(tmp_path))
    assert result.exit_code in (0, 1)
    assert "unforeseen" not in result.stderr
    if result.exit_code:
        assert result.stdout == ""
        assert "what to do: run `dvc repro" in result.stderr


def test_it_starts_without_torch(tmp_path: Path) -> None:
    write_metrics(tmp_path)
    assert slow_imports("metrics", "--artifacts", str(tmp_path)) <= {"rich"}
