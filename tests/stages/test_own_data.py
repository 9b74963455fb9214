"""The whole pipeline on own tables of another shape than MovieLens, through real DVC."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import polars as pl
import pytest
from hierrec.core.errors import DataError, DownloadError
from hierrec.core.tables import load_items, load_split
from hierrec.ingest.sources import md5_file
from hierrec.params import load_params

from stages.params import _check_files
from stages.workspace import ROOT, make_workspace
from tests.reliability.sample_stages import contents
from tests.stages.project import Project

ITEMS = 10_000
SHOPPERS = 40
VISITORS = 10
START = datetime(2020, 2, 28, 23, 59, tzinfo=UTC)

TINY: dict[str, Any] = {
    "encode.template": "{description}. Tags: {tags}. {extra_text}",
    "encode.max_length": 16,
    "encode.whitening_dimension": 16,
    "train.members": 2,
    "train.history": 20,
    "train.negatives": 32,
    "train.epochs": 1,
    "train.validate_every": 1,
    "train.warmup_steps": 2,
    "train.residual_width": 8,
    "train.backbone.config.hidden_size": 16,
    "train.backbone.config.intermediate_size": 16,
    "train.backbone.config.num_hidden_layers": 1,
    "fusion.shortlist": 20,
    "fusion.neighbours": 10,
    "fusion.item_neighbours": 3,
    "fusion.recent_items": 3,
    "fusion.steps": 1,
}


def write_shop(folder: Path) -> dict[str, str]:
    """Write a shop without titles, years and genres; return the params of `ingest` that name its tables.

    One user, the collector, has all items; some have a few, some have one. A third of the items have no text at all.
    """
    random = Random(3)
    ids = [f"sku/{number:05} ü" for number in range(ITEMS)]
    texts = [None if number % 3 == 0 else f"Thing {number % 50} of clay" for number in range(ITEMS)]
    tags = [None if number % 3 == 0 else ["red", f"shelf {number % 5}"] for number in range(ITEMS)]
    pl.DataFrame({"item": ids, "description": texts, "tags": tags}).write_parquet(folder / "items.parquet")
    histories = {"the collector": random.sample(ids, ITEMS)}
    for number in range(SHOPPERS):
        histories[f"shopper {number}"] = random.sample(ids, random.randint(5, 30))
    for number in range(VISITORS):
        histories[f"visitor {number}"] = random.sample(ids, 1)
    rows = [
        (user, item, (START + timedelta(minutes=minute // 2)).isoformat())
        for user, history in histories.items()
        for minute, item in enumerate(history)
    ]
    table = pl.DataFrame(rows, ["user", "item", "timestamp"], orient="row")
    table.write_csv(folder / "interactions.csv")
    pl.DataFrame({"item_id": [*ids[:50], "of no item"], "text": "Found in a wreck."}).write_csv(folder / "texts.csv")
    return {
        "ingest.dataset": "files",
        "ingest.interactions": str(folder / "interactions.csv"),
        "ingest.items": str(folder / "items.parquet"),
        "ingest.item_text": str(folder / "texts.csv"),
    }


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project in which `dvc repro` has run on the shop."""
    folder = tmp_path_factory.mktemp("shop")
    make_workspace(folder / "project", {**TINY, **write_shop(folder)})
    project = Project(folder / "project")
    project.run("dvc", "init", "--no-scm", "--quiet")
    output = project.run("dvc", "repro")
    assert f"interactions of {1 + SHOPPERS + VISITORS} users" in output
    assert "further text for 50 items; 1 ids of" in output
    assert f"items_md5: {md5_file(folder / 'items.parquet')}" in output
    return project


def test_the_whole_pipeline_runs_on_tables_of_ones_own(shop: Project) -> None:
    data = shop.folder / "artifacts" / "data"
    items = load_items(data / "items.parquet")
    assert items["item_id"].to_list()[:2] == ["sku/00000 ü", "sku/00001 ü"]
    assert items["title"].null_count() == len(items)
    assert items["extra_text"].count() == 50
    assert load_split(data / "split.parquet")["test"].count() == SHOPPERS + 1
    texts = pl.read_parquet(shop.folder / "artifacts" / "item_embeddings" / "items.parquet")["text"].to_list()
    assert texts[0] == "Found in a wreck."
    assert texts[1] == "Thing 1 of clay. Tags: red, shelf 1. Found in a wreck."
    assert texts[ITEMS - 1] == ""
    for variant in ("hierarchical", "rag"):
        (metrics,) = shop.read_json(f"artifacts/metrics/{variant}.json")
        assert metrics["users"] == SHOPPERS + 1
        assert all(0 <= value <= 1 for value in metrics["test"].values())


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("ingest__where", "price > 2", "'price' is missing"),
        ("ingest__columns", {"user": "who"}, "'who'"),
        ("ingest__item_columns", {"item": "sku"}, "'sku'"),
        ("ingest__interactions", "/no/such/events.csv", "/no/such/events.csv: no such file"),
        ("ingest__items", "/no/such/*.parquet", "no file matches this pattern"),
    ],
)
def test_a_wrong_name_of_a_column_or_a_table_removes_nothing(
    shop: Project, key: str, value: object, message: str
) -> None:
    before, params = contents(shop.folder / "artifacts"), (shop.folder / "params.yaml").read_text()
    shop.set(**{key: value})
    assert message in shop.run("dvc", "repro", status=255)
    assert contents(shop.folder / "artifacts") == before
    (shop.folder / "params.yaml").write_text(params)


def test_without_the_table_the_later_stages_run_on_what_ingest_wrote(shop: Project) -> None:
    table = shop.folder.parent / "interactions.csv"
    hidden = table.rename(table.with_suffix(".hidden"))
    shop.set(index__recall=0.9)
    assert shop.repro("index") == ["index"]
    hidden.rename(table)


def test_a_checksum_lets_dvc_see_changes(shop: Project) -> None:
    assert shop.repro() == []
    table = shop.folder.parent / "interactions.csv"
    shop.set(ingest__interactions_md5=md5_file(table))
    assert shop.repro() == ["ingest"]  # the same tables come out, so nothing follows
    table.write_text(table.read_text("utf-8") + "visitor 0,sku/00001 ü,2021-01-01\n", "utf-8")
    shop.set(ingest__interactions_md5="0" * 32)
    output = shop.run("dvc", "repro", status=255)
    assert f"but its {table.stat().st_size:,} bytes have {md5_file(table)}" in output
    shop.set(ingest__interactions_md5=md5_file(table))
    assert shop.repro("--single-item", "ingest") == ["ingest"]
    assert shop.read_json("artifacts/metrics/data.json")[0]["interactions"] > ITEMS


@pytest.mark.parametrize(
    ("key", "message"),
    [("interactions", "columns user, item, timestamp are missing"), ("items", "column item is missing")],
)
def test_a_table_with_another_checksum_is_not_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    table = tmp_path / "other.csv"
    table.write_text("who,what,when\nann,1,1\n", "utf-8")
    params = load_params(ROOT / "params.yaml").ingest

    def check(path: Path, md5: str | None) -> None:
        _check_files(params.model_copy(update={key: str(path), f"{key}_md5": md5}))

    for right in (md5_file(table), None):
        with pytest.raises(DataError, match=message):
            check(table, right)
    check(table, "0" * 32)
    with pytest.raises(DownloadError, match="no such file"):
        check(tmp_path / "missing.csv", None)
    # `ingest` has run with these params and will not run again.
    (tmp_path / "params.yaml").write_text("ingest: {items: missing.csv}")
    (tmp_path / "dvc.lock").write_text("stages: {ingest: {params: {params.yaml: {ingest: {items: missing.csv}}}}}")
    check(tmp_path / "missing.csv", None)
