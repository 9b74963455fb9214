"""`hierrec data` repeats the summary that `ingest` printed."""

import shutil
from collections.abc import Callable
from contextlib import chdir
from pathlib import Path

import pytest
from click.testing import Result
from hierrec.ingest.params import IngestParams
from hierrec.params import load_params

from stages import ingest
from stages.workspace import ROOT
from tests.cli.imports import slow_imports

Run = Callable[..., Result]


@pytest.fixture(scope="module")
def ingested(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """The artifacts and the stage's summary of a log with repeats, split by time, with rows left out; to copy."""
    folder = tmp_path_factory.mktemp("shop")
    days = [f"u{user},i{(user + item) % 7},{100 * item + user}" for user in range(9) for item in range(12)]
    (folder / "log.csv").write_text("\n".join(["user,item,ts", *days]))
    changes = {
        "dataset": "files",
        "interactions": str(folder / "log.csv"),
        "split": "time",
        "validation_from": 300,
        "test_from": 600,
        "where": "ts <> 5",
    }
    params = load_params(ROOT / "params.yaml").ingest
    with chdir(folder):
        summary = ingest.main.function(ingest=IngestParams(**{**params.model_dump(), **changes}))
    return folder / "artifacts", summary


@pytest.fixture
def shop(ingested: tuple[Path, list[str]], tmp_path: Path) -> tuple[Path, list[str]]:
    """A copy of them, for a test to change."""
    return shutil.copytree(ingested[0], tmp_path / "artifacts"), ingested[1]


def test_it_says_what_ingest_said(run: Run, shop: tuple[Path, list[str]]) -> None:
    folder, summary = shop
    lines = run("data", "--artifacts", str(folder)).output.splitlines()
    assert lines == summary[: len(lines)]
    assert "1 rows left out by ingest.where" in lines
    assert "cut: validation from 300 (9 targets), test from 600 (9 targets); new in the test: 0 users, 0 items" in lines
    assert any("an item twice: 9 of 9" in line for line in lines)
    assert len(lines) == 9


@pytest.mark.parametrize("name", ["items.parquet", "ratings.parquet", "manifest.json"])
def test_damaged_or_missing_tables_give_one_message(run: Run, shop: tuple[Path, list[str]], name: str) -> None:
    path = shop[0] / "data" / name
    for damage in (lambda: path.write_bytes(path.read_bytes()[:-9]), path.unlink):
        damage()
        result = run("data", "--artifacts", str(shop[0]))
        assert (result.exit_code, result.stdout) == (1, "")
        assert name in result.stderr
        assert "dvc repro" in result.stderr


def test_the_metrics_of_a_split_by_time_are_shown_with_its_counts(run: Run, shop: tuple[Path, list[str]]) -> None:
    for variant in ("hierarchical", "rag"):
        metrics = '{"test": {"ndcg@10": 0.5}, "validation": {"ndcg@10": 0.5}}'
        (shop[0] / "metrics" / f"{variant}.json").write_text(metrics)
    result = run("metrics", "--artifacts", str(shop[0]))
    assert result.exit_code == 0
    assert "107 interactions" in result.output


def test_it_starts_without_torch(shop: tuple[Path, list[str]]) -> None:
    assert slow_imports("data", "--artifacts", str(shop[0])) == set()


def test_an_extended_folder_needs_no_metrics(run: Run, shop: tuple[Path, list[str]]) -> None:
    folder = shop[0]
    whole = run("data", "--artifacts", str(folder)).output.splitlines()
    shutil.rmtree(folder / "metrics")
    lines = run("data", "--artifacts", str(folder)).output.splitlines()
    assert set(lines) < set(whole)
    assert [line for line in whole if line not in lines and "left out" not in line and "cut: " not in line] == []
