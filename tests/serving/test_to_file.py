"""Recommendations for every user: whole, in each format, and after a kill."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hierrec import Recommender
from hierrec.core.errors import ParamsError
from hierrec.serving import to_file
from hierrec.serving.find_items import NotFoundError
from hierrec.serving.to_file import write_recommendations

RULES: dict[str, Any] = {"where": "year >= 1960", "exclude": ["Heat (1995)"]}
READERS = {".parquet": pl.read_parquet, ".csv": pl.read_csv, ".jsonl": pl.read_ndjson}


@pytest.fixture(scope="module")
def recommender(artifacts: Path) -> Recommender:
    return Recommender.load(artifacts / "models" / "hierarchical")


@pytest.fixture(scope="module")
def expected(recommender: Recommender) -> pl.DataFrame:
    users = [recommender.user(user) for user in recommender.user_ids]
    return recommender.recommend_table(users, 7, **RULES).drop("history")


def write_all(recommender: Recommender, out: Path, artifacts: Path, k: int, **rules: Any) -> int:
    return write_recommendations(recommender, out, [artifacts], k, recommender.user_ids, **rules)


def test_two_runs_into_one_file_wait_for_each_other(
    recommender: Recommender, expected: pl.DataFrame, artifacts: Path, tmp_path: Path
) -> None:
    out = tmp_path / "all.parquet"
    with ThreadPoolExecutor(2) as pool:
        runs = [pool.submit(write_all, recommender, out, artifacts, 7, **RULES) for _ in range(2)]
    assert [run.result() for run in runs] == [len(expected)] * 2
    assert len(pl.read_parquet(out)) == len(expected)
    assert os.listdir(tmp_path) == [out.name]


@pytest.mark.parametrize("suffix", READERS)
def test_every_user_is_answered_as_alone(
    recommender: Recommender, expected: pl.DataFrame, artifacts: Path, tmp_path: Path, suffix: str
) -> None:
    out = tmp_path / f"all{suffix}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(to_file, "BLOCK", 64)  # several blocks, each scored in one batch
        written = write_all(recommender, out, artifacts, 7, **RULES)
    assert written == len(expected)
    found = READERS[suffix](out)
    columns = ["user_id", "rank", "item_id", "title"]
    assert found.columns == expected.columns
    assert found.select(pl.col(columns).cast(pl.String)).equals(expected.select(pl.col(columns).cast(pl.String)))
    for name in ("score", "probability"):
        assert found[name].to_list() == pytest.approx(expected[name].to_list(), abs=1e-4)
    assert found["user_id"].n_unique() == len(recommender.user_ids)
    assert os.listdir(tmp_path) == [out.name]


def test_a_wrong_rule_leaves_nothing_behind(recommender: Recommender, artifacts: Path, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        write_all(recommender, tmp_path / "all.csv", artifacts, 7, exclude=["no such film"])
    assert not os.listdir(tmp_path)
    write_all(recommender, tmp_path / "all.csv", artifacts, 1, exclude=[recommender.item("heat")])
    assert "Heat" not in (tmp_path / "all.csv").read_text()


SLOW = """
import sys, time
from pathlib import Path
from hierrec import Recommender
from hierrec.serving import to_file

class Slow(Recommender):
    def recommend_table(self, *arguments, **rules):
        time.sleep(0.2)
        return super().recommend_table(*arguments, **rules)

to_file.BLOCK = 50
artifacts = Path(sys.argv[1])
recommender = Slow.load(artifacts / "models" / "hierarchical")
to_file.write_recommendations(recommender, Path(sys.argv[2]), [artifacts], 7, recommender.user_ids)
"""


def test_a_killed_run_goes_on(
    recommender: Recommender, artifacts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, parts = tmp_path / "all.parquet", tmp_path / ".all.parquet.parts"
    process = subprocess.Popen([sys.executable, "-c", SLOW, str(artifacts), str(out)])
    while len(list(parts.glob("*.parquet"))) < 3:
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not out.exists()
    finished = len(list(parts.glob("*.parquet")))

    calls: list[int] = []
    answer = Recommender.recommend_table

    def counted(self: Recommender, histories: Any, *arguments: Any, **rules: Any) -> pl.DataFrame:
        calls.append(len(histories))
        return answer(self, histories, *arguments, **rules)

    monkeypatch.setattr(Recommender, "recommend_table", counted)
    monkeypatch.setattr(to_file, "BLOCK", 50)
    blocks = -(-len(recommender.user_ids) // 50)
    write_all(recommender, tmp_path / "other.parquet", artifacts, 7)
    assert len(calls) == blocks
    write_all(recommender, out, artifacts, 7)
    assert len(calls) == 2 * blocks - finished
    assert pl.read_parquet(out).equals(pl.read_parquet(tmp_path / "other.parquet"))
    assert sorted(os.listdir(tmp_path)) == ["all.parquet", "other.parquet"]


def test_parts_of_another_question_or_model_are_not_used(
    recommender: Recommender, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, model, users = tmp_path / "all.parquet", tmp_path / "model", recommender.user_ids[:9]
    model.mkdir()
    questions: list[tuple[str, int, dict[str, Any]]]
    questions = [("old", 3, {}), ("new", 3, {}), ("new", 2, {}), ("new", 3, {"diversity": 0.5})]
    for version, k, rules in questions:
        if not (model / version).exists():
            (model / version).write_text("")
        with monkeypatch.context() as patch:
            patch.setattr(to_file.shutil, "rmtree", lambda *_, **__: None)
            write_recommendations(recommender, out, [model], k, users, **rules)
    assert len(list((tmp_path / ".all.parquet.parts").iterdir())) == len(questions)
    expected = recommender.recommend_table([recommender.user(user) for user in users], 3, diversity=0.5)
    assert pl.read_parquet(out)["item_id"].to_list() == expected["item_id"].to_list()


def test_an_unknown_format_is_refused(recommender: Recommender, artifacts: Path, tmp_path: Path) -> None:
    with pytest.raises(ParamsError, match=r"no format '\.xlsx'\n.*\.parquet, \.csv, \.jsonl"):
        write_all(recommender, tmp_path / "all.xlsx", artifacts, 3)
