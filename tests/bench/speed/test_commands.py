"""The speed benches, as commands on the sample: they run, and their figures are right."""

import json
import shutil
import sys
from pathlib import Path

import pytest

from bench.peers import contestants
from bench.speed import encoding, latency, startup
from bench.speed.latency import HIERARCHICAL, PLAIN, RAG
from stages.workspace import run as run_in
from tests.bench.quick import run


def test_latency_of_every_way(tmp_path: Path) -> None:
    result = run(latency.main, tmp_path / "latency.json")
    assert set(result["milliseconds"]) == {HIERARCHICAL, RAG, PLAIN}
    for figures in result["milliseconds"].values():
        assert 0 < figures["cpu_p50"] <= figures["cpu_p99"]
        assert 0 < figures["wall_p50"] <= figures["wall_p99"]
    plain, ours = (result["milliseconds"][name]["cpu_p50"] for name in (PLAIN, HIERARCHICAL))
    assert result["ratios"][f"{PLAIN} / {HIERARCHICAL}"] == pytest.approx(plain / ours)
    assert result["settings"]["longest_history"] <= 20


@pytest.mark.usefixtures("shared_imports")
def test_encoding_is_that_of_sentence_transformers_and_is_not_done_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The development environment has sentence-transformers as well, of the same version.
    monkeypatch.setattr(contestants, "PEERS_PYTHON", Path(sys.executable))
    monkeypatch.setattr(encoding, "PEERS_PYTHON", Path(sys.executable))
    abstracts = tmp_path / "abstracts.json"
    abstracts.write_text(json.dumps({"1": "A cowboy doll fears a spaceman. " * 20, "2": "Two men meet."}))
    result = run(encoding.main, tmp_path / "encoding.json", "--abstracts", str(abstracts))
    assert set(result["ratios"]) == {"short", "abstracts"}
    for measured in result["texts"].values():
        assert set(measured["greatest_difference"]) == {encoding.BFLOAT16, "sentence-transformers"}
        assert 0 < measured["greatest_difference"][encoding.BFLOAT16] < 0.1
        assert measured["greatest_difference"]["sentence-transformers"] < 1e-5
    again = result["again"]
    assert again["first"]["encoded"] > 200
    assert again["first"]["model_loaded"]
    assert again["nothing_changed"]["encoded"] == 0
    assert not again["nothing_changed"]["model_loaded"]
    assert again["10_changed"]["encoded"] == 10
    assert result["skipped"] == {}


@pytest.mark.usefixtures("shared_imports")
def test_encoding_without_peers_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contestants, "PEERS_PYTHON", tmp_path / "missing")
    result = run(encoding.main, tmp_path / "encoding.json")
    assert set(result["ratios"]["short"]) == {encoding.BFLOAT16}
    assert set(result["skipped"]) == {"sentence-transformers", "abstracts"}


def test_nothing_to_do_is_done_soon(finished: Path, tmp_path: Path) -> None:
    workspace = shutil.copytree(finished, tmp_path / "workspace", symlinks=True)
    run_in(workspace, "dvc", "init", "--no-scm", "--quiet")
    run_in(workspace, "dvc", "commit", "--force", "--quiet")
    result = run(startup.main, tmp_path / "startup.json", "--workspace", str(workspace))
    seconds = result["seconds"]
    assert result["ratios"]["dvc repro / dvc status"] == pytest.approx(
        seconds["dvc repro"]["cpu"] / seconds["dvc status"]["cpu"]
    )
    # A stage that ran would import torch, which takes many times as long.
    assert result["ratios"]["dvc repro / dvc status"] < 2.5
    assert seconds["hierrec --help"]["cpu"] < seconds["dvc status"]["cpu"]
