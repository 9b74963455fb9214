"""The comparisons with other libraries, as commands on the sample."""

from pathlib import Path

import pytest

from bench.peers import contestants, evaluation, training
from tests.bench.quick import run


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No peers' environment."""
    monkeypatch.setattr(contestants, "PEERS_PYTHON", tmp_path / "missing")


@pytest.mark.usefixtures("alone", "shared_imports")
def test_training_without_peers_says_who_is_missing_and_why(tmp_path: Path) -> None:
    result = run(training.main, tmp_path / "training.json")
    (curve,) = result["curves"]["ours"]
    assert [point["interactions"] for point in curve] == sorted({point["interactions"] for point in curve})
    assert curve[-1]["cpu_seconds"] >= result["settings"]["seconds"] > curve[-2]["cpu_seconds"]
    assert all(0 <= point["ndcg@10"] <= 1 for point in curve)
    rate = curve[-1]["interactions"] / curve[-1]["cpu_seconds"]
    assert result["interactions_per_second"] == {"ours": pytest.approx(rate)}
    assert len(result["skipped"]) == 3
    assert all("make bench-env" in reason for reason in result["skipped"].values())


@pytest.mark.usefixtures("alone", "shared_imports")
def test_evaluation_without_peers_agrees_with_the_plain_loop(tmp_path: Path) -> None:
    result = run(evaluation.main, tmp_path / "evaluation.json")
    lines = [result["runs"][name][0] for name in ("ours", "ours, float32", "plain loop")]
    assert lines[0]["ndcg@20"] > 0
    for line in lines[1:]:
        for metric in ("ndcg@10", "ndcg@20", "recall@10", "recall@20"):
            assert line[metric] == pytest.approx(lines[0][metric], abs=1e-6)
    assert result["ratios"]["plain loop"] == pytest.approx(
        result["milliseconds_per_user"]["plain loop"] / result["milliseconds_per_user"]["ours"]
    )
    assert set(result["skipped"]) == {"rectools"}


@pytest.mark.usefixtures("peers")
def test_peers_train_on_the_same_data_and_learn(tmp_path: Path) -> None:
    result = run(training.main, tmp_path / "training.json")
    assert result["skipped"] == {}
    assert set(result["ratios"]) == set(result["curves"]) - {"ours"}
    for (curve,) in result["curves"].values():
        assert curve[-1]["cpu_seconds"] >= result["settings"]["seconds"]
        assert curve[-1]["interactions"] > 0
        assert curve[-1]["recall@20"] > 20 / 300  # chance level


@pytest.mark.usefixtures("peers")
def test_rectools_evaluates_the_same_users(tmp_path: Path) -> None:
    result = run(evaluation.main, tmp_path / "evaluation.json")
    (line,) = result["runs"]["rectools"]
    assert line["users"] == result["settings"]["users"]
    assert result["ratios"]["rectools"] > 0
