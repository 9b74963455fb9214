"""The examples run unchanged beside artifacts. tests/reuse and the pages run examples without this package."""

import re
import runpy
import sys
from contextlib import chdir
from pathlib import Path

import polars as pl
import pytest

from stages.workspace import ROOT


def output_of(name: str, folder: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Run an example in a folder; return what it prints."""
    with chdir(folder), pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [name, *arguments])
        runpy.run_path(str(ROOT / "examples" / name))
    return capsys.readouterr().out


def test_own_data(finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    events = pl.DataFrame({"user": range(200), "item": [n % 7 for n in range(200)], "time": range(200)})
    table = events.with_columns(pl.col("user") % 20)
    table.write_csv(tmp_path / "events.csv")
    output = output_of("own_data.py", finished, capsys, str(tmp_path / "events.csv"))
    assert "20 users" in output
    found = dict(re.findall(r"^(\w+) +NDCG@10 (\S+)", output, re.MULTILINE))
    assert {"popularity", "markov", "neighbours"} <= set(found)
    assert float(found["markov"]) > float(found["popularity"])  # items form a ring


def test_genre_classifier(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = output_of("genre_classifier.py", finished, capsys, "Comedy")
    found = dict(re.findall(r"^(\w+) +average precision (\S+)$", output, re.MULTILINE))
    assert float(found["embeddings"]) > 2 * float(found["chance"])
    with pytest.raises(SystemExit, match="name another genre"):
        output_of("genre_classifier.py", finished, capsys, "Westernn")


def test_recommend_function(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, *rest = output_of("recommend_function.py", finished, capsys).splitlines()
    assert first.startswith("skipped: ")
    assert "no such film" in first
    assert [line.count("(") for line in rest] == [5, 3, 5]


def test_retrieval_source(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = output_of("retrieval_source.py", finished, capsys)
    found = re.findall(r"^(?:model alone|with followers) +NDCG@10 (\S+)", output, re.MULTILINE)
    assert float(found[1]) > float(found[0])  # the sample's users walk from item to item


def test_compare_runs(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = output_of("compare_runs.py", finished, capsys)
    assert len(re.findall(r"^\S+@\d0 +0\.\d{4} → 0\.\d{4}  95% interval \+", output, re.MULTILINE)) == 4


def test_the_list_of_examples_names_every_one_and_all_are_short() -> None:
    listed = set(re.findall(r"\]\((\w+\.py)\)", (ROOT / "examples" / "README.md").read_text("utf-8")))
    scripts = list((ROOT / "examples").glob("*.py"))
    assert listed == {path.name for path in scripts}
    assert all(len(path.read_text("utf-8").splitlines()) <= 60 for path in scripts)
