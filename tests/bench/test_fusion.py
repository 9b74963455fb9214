"""Settings of the retrieval, measured on the embedded sample."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import faiss
import polars as pl
import pytest
import torch
from click.testing import CliRunner
from hierrec.core.errors import ParamsError
from hierrec.core.files import read_json, write_json
from hierrec.model.checkpoint import load_model
from hierrec.model.scorer import Scorer
from hierrec.params import load_params
from hierrec.ranking.evaluator import rank_targets
from hierrec.ranking.metrics import metrics_from_ranks

from bench.ablation.settings import load_document
from bench.fusion import ALONE, SETTINGS, Bench, changed, main
from stages.workspace import ROOT
from tests.reliability.sample_stages import run_stages

METRICS = {"ndcg@10", "ndcg@20", "recall@10", "recall@20"}


def measure(artifacts: Path, out: Path, *arguments: str, params: Path = ROOT / "params.yaml") -> Any:
    options = ("--artifacts", str(artifacts), "--out", str(out), "--params", str(params))
    return CliRunner().invoke(main, [*options, *arguments])


@pytest.fixture
def one_thread(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """One thread here and in child processes: rounding depends on how threads share a sum."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    threads = torch.get_num_threads(), faiss.omp_get_max_threads()
    torch.set_num_threads(1)
    faiss.omp_set_num_threads(1)
    yield
    torch.set_num_threads(threads[0])
    faiss.omp_set_num_threads(threads[1])


def test_the_model_alone_is_what_evaluation_says(artifacts: Path) -> None:
    bench = Bench(artifacts, batch_users=32)
    inputs = bench.inputs
    model = load_model(artifacts / "models" / "hierarchical", inputs.frozen, inputs.store_hash)
    scorer = Scorer(model, inputs.candidates)
    histories = inputs.sequences.validation_histories()
    ranks = rank_targets(scorer, histories, inputs.sequences.validation, inputs.candidates, batch_users=64)
    # Evaluation computes in float64: a tie may fall the other way for two of the 600 users.
    assert bench.alone() == pytest.approx(metrics_from_ranks(ranks), abs=2 / 600)


def test_one_half_is_what_train_rag_measures_and_the_other_is_its_counterpart(
    sample_run: Path, tmp_path: Path, one_thread: None
) -> None:
    folder = tmp_path / "workspace"
    changes = {"fusion.steps": 8, "fusion.learning_rate": 0.2}
    run_stages(sample_run, folder, ["train_rag"], changes)
    curve = pl.read_csv(folder / "artifacts" / "plots" / "rag.csv")
    best = curve.sort("ndcg@10", "step", descending=[True, False]).row(0, named=True)
    params = load_params(folder / "params.yaml").fusion
    halves = Bench(folder / "artifacts", params.batch_users).halves(params)
    assert halves[0] == pytest.approx({name: best[name] for name in METRICS}, abs=1e-6)
    assert halves[1] != pytest.approx(halves[0], abs=1e-3)

    out, name = tmp_path / "fusion.json", "the default"
    done = measure(folder / "artifacts", out, "--setting", name, params=folder / "params.yaml")
    assert done.exit_code == 0, done.output
    mean = {key: (value + halves[1][key]) / 2 for key, value in halves[0].items()}
    assert read_json(out)["runs"]["1"][name] == pytest.approx(mean)


def test_settings_differ_and_go_with_the_default_params() -> None:
    params = changed(load_document(ROOT / "params.yaml"), SETTINGS)
    assert len({str(one) for one in params.values()}) == len(SETTINGS)


def test_results_are_kept_by_seed_and_setting(sample_run: Path, tmp_path: Path) -> None:
    artifacts, params = sample_run / "artifacts", sample_run / "params.yaml"
    out = tmp_path / "fusion.json"
    for name in ("items alone", "overlap 0"):
        done = measure(artifacts, out, "--setting", name, params=params)
        assert done.exit_code == 0, done.output
        assert name in done.output
    result = read_json(out)
    ((seed, measured),) = result["runs"].items()
    assert set(measured) == {ALONE, "items alone", "overlap 0"}
    assert all(set(metrics) == METRICS for metrics in measured.values())
    assert len({str(metrics) for metrics in measured.values()}) == 3

    other = {ALONE: {name: value + 0.2 for name, value in measured[ALONE].items()}}
    write_json(out, {**result, "runs": {f"{seed}0": other}})
    assert measure(artifacts, out, "--setting", "items alone", params=params).exit_code == 0
    result = read_json(out)
    assert result["runs"][f"{seed}0"] == other
    assert set(result["over_seeds"]) == {ALONE}
    for name, value in measured[ALONE].items():
        assert result["over_seeds"][ALONE][name]["mean"] == pytest.approx(value + 0.1, abs=1e-6)


def test_a_setting_that_does_not_go_with_the_params_is_said() -> None:
    document = load_document(ROOT / "params.yaml")
    document["fusion"]["shortlist"] = 900
    with pytest.raises(ParamsError, match="neighbours 1000"):
        changed(document, ["neighbours 1000"])


def test_what_is_wrong_is_said_before_anything_is_measured(artifacts: Path, tmp_path: Path) -> None:
    out = tmp_path / "fusion.json"
    done = measure(artifacts, out, "--setting", "all")
    assert (done.exit_code, ALONE in done.output) == (1, False)
    assert "there is no such setting" in done.output
    done = measure(tmp_path, out)
    assert (done.exit_code, "dvc repro" in done.output) == (1, True)
    write_json(out, {"train": {}, "fusion": {}, "runs": {}})
    done = measure(artifacts, out)
    assert (done.exit_code, ALONE in done.output) == (1, False)
    assert "holds results of other params" in done.output
    assert read_json(out)["runs"] == {}
