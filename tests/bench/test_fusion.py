"""Settings of the retrieval, measured on the embedded sample with an untrained model."""

from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from hierrec.evaluation.evaluator import rank_targets
from hierrec.evaluation.metrics import metrics_from_ranks
from hierrec.files import read_json, write_json
from hierrec.recommender.checkpoint import load_recommender
from hierrec.recommender.hierarchical import HierarchicalRecommender

from bench.fusion import ALONE, Bench, added, compare, main
from bench.peers.sample import quick_params, write_sample


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("artifacts")
    write_sample(folder)
    return folder


def test_the_model_alone_is_what_evaluation_says(artifacts: Path) -> None:
    bench = Bench(artifacts)
    inputs = bench.inputs
    model, train = load_recommender(artifacts / "models" / "hierarchical", inputs.frozen, inputs.store_hash)
    scorer = HierarchicalRecommender(model, train.history)
    histories = inputs.sequences.validation_histories()
    ranks = rank_targets(scorer, histories, inputs.sequences.validation, inputs.candidates, batch_users=64)
    assert bench.alone() == pytest.approx(metrics_from_ranks(ranks), abs=1e-3)


def test_settings_are_measured_under_their_params_and_the_same_again(artifacts: Path) -> None:
    bench, fusion = Bench(artifacts), quick_params().fusion.model_copy(update={"epochs": 2})
    settings = {"both": {}, "items": {"sources": ["items"]}, "both again": {}}
    found = compare(bench, fusion, settings)
    assert list(found) == [ALONE, *settings]
    assert found["both"] == found["both again"]
    assert len({str(metrics) for metrics in found.values()}) == 3
    for metrics in found.values():
        assert set(metrics) == {"ndcg@10", "ndcg@20", "recall@10", "recall@20"}
        assert all(0 < value < 1 for value in metrics.values())


def test_models_are_added_one_by_one(artifacts: Path, tmp_path: Path) -> None:
    bench, fusion, path = Bench(artifacts), quick_params().fusion, tmp_path / "fusion.json"
    train = bench.train.model_dump(mode="json")
    for seed, value in ((1, 0.1), (2, 0.3)):
        write_json(path, added(path, {**train, "seed": seed}, fusion, {"both": {"ndcg@10": value}}))
    result = read_json(path)
    assert set(result["runs"]) == {"1", "2"}
    assert result["over_seeds"]["both"]["ndcg@10"] == {"mean": 0.2, "sd": pytest.approx(0.141421)}
    for other, found in (
        ({**train, "epochs": 99}, {"both": {"ndcg@10": 0.2}}),
        ({**train, "seed": 3}, {"items": {"ndcg@10": 0.2}}),
    ):
        with pytest.raises(click.ClickException):
            added(path, other, fusion, found)


def test_the_command_writes_what_it_measured(artifacts: Path, tmp_path: Path) -> None:
    out = tmp_path / "fusion.json"
    arguments = ["--artifacts", str(artifacts), "--out", str(out), "--setting", "items alone"]
    done = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert done.exit_code == 0
    (metrics,) = read_json(out)["runs"].values()
    assert set(metrics) == {ALONE, "items alone"}
    assert f"{metrics['items alone']['ndcg@10']:.4f}" in done.output


def test_what_is_wrong_is_said(tmp_path: Path) -> None:
    for arguments, said in ((["--setting", "all"], "no setting is called"), ([], "dvc repro")):
        done = CliRunner().invoke(main, ["--artifacts", str(tmp_path), *arguments])
        assert done.exit_code == 1
        assert said in done.output
