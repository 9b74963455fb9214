import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hierrec.core.files import read_details, sha256_file
from hierrec.core.tables import load_items
from hierrec.ingest.dataset import TABLES
from hierrec.ingest.params import IngestParams
from hierrec.ingest.sources import md5_file
from pydantic import ValidationError

from stages import ingest
from tests.ingest.archives import FILES, write_archive
from tests.ingest.own_tables import write_tables

SMALL = {"interactions": 10, "users": 4, "rated_items": 4, "items": 5}


def params(archive: Path | str, **changes: object) -> IngestParams:
    values = {"dataset": "movielens", "archive": str(archive), "md5": None, "expected": SMALL}
    unset = {key: None for key in ("interactions", "items", "item_text")}
    unset |= {f"{key}_md5": None for key in unset}
    return IngestParams.model_validate({**values, **unset, "candidates": "interacted", **changes})


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_an_archive_becomes_artifacts_and_a_summary(project: Path) -> None:
    summary = ingest.main.function(ingest=params(write_archive(project / "small.zip")))
    assert summary == [
        "movielens: 10 interactions of 4 users",
        "5 items listed, 4 of them candidates for ranking",
        "density 62.500%: 4 users x 4 items with interactions",
        "interactions of a user: 1 to 4, median 2",
        "items with text: 5 of 5 (100%), median length 29 characters",
        "users whose test target is decided by a tie in time: 1 of 2 (50%)",
        "times from 2000-12-29 14:26:40 to 2000-12-31 22:32:48",
        "2 users with a validation and a test target; tables in artifacts/data/",
    ]
    files = {path.relative_to(project).as_posix() for path in (project / "artifacts").rglob("*") if path.is_file()}
    assert files == {
        *(f"artifacts/data/{table}" for table in TABLES),
        "artifacts/data/manifest.json",
        "artifacts/metrics/data.json",
    }
    counts = read_details(project / "artifacts/metrics/data.json")
    assert counts == {"candidates": 4, "interactions": 10, "items": 5, "users": 4}


def test_all_listed_items_may_be_candidates(project: Path) -> None:
    ingest.main.function(ingest=params(write_archive(project / "small.zip"), candidates="all"))
    assert load_items(Path("artifacts/data/items.parquet"))["candidate"].all()


def test_the_sample_needs_no_archive(project: Path) -> None:
    summary = ingest.main.function(ingest=params("absent.zip", dataset="sample"))
    assert summary[0] == "sample: 20,124 interactions of 600 users"


def test_tables_of_ones_own_become_artifacts(project: Path) -> None:
    paths = {key.removeprefix("ingest."): value for key, value in write_tables(project).items()}
    summary = ingest.main.function(ingest=params("absent.zip", **paths))
    assert summary[0] == "files: 8 interactions of 3 users"
    md5s = {name: md5_file(Path(paths[name])) for name in ("interactions", "items")}
    assert summary[-1].endswith(f"interactions_md5: {md5s['interactions']}, items_md5: {md5s['items']}")
    manifest = json.loads((project / "artifacts/data/manifest.json").read_text())
    assert manifest["dataset"] == "files"
    assert manifest["source"] == {"md5": None, **md5s}
    pinned = {f"{name}_md5": md5 for name, md5 in md5s.items()}
    assert len(ingest.main.function(ingest=params("absent.zip", **paths, **pinned))) == len(summary) - 1


def test_a_condition_is_for_tables_of_ones_own() -> None:
    with pytest.raises(ValidationError, match="where: is for dataset: files"):
        params("a.zip", where="rating > 3")


def test_rows_that_are_left_out_are_counted(project: Path) -> None:
    summary = ingest.main.function(ingest=params("absent.zip", dataset="sample", min_rating=4))
    counts = read_details(project / "artifacts/metrics/data.json")
    assert counts["interactions"] + counts["removed_min_rating"] == 20_124
    assert f"{counts['removed_min_rating']:,} rows left out by ingest.min_rating" in summary


def test_further_text_joins_any_data_set(project: Path) -> None:
    (project / "texts.json").write_text('{"1": "A plot.", "2": "Another.", "x": "Of no item."}')
    summary = ingest.main.function(ingest=params("absent.zip", dataset="sample", item_text="texts.json"))
    assert "further text for 2 items; 1 ids of texts.json name no item" in summary
    assert load_items(Path("artifacts/data/items.parquet"))["extra_text"].count() == 2


def test_what_a_killed_run_left_is_removed(project: Path) -> None:
    archive = write_archive(project / "small.zip")
    ingest.main.function(ingest=params(archive))
    (project / "artifacts/data/.items.parquet.abc.hierrec.part").write_bytes(b"half")
    ingest.main.function(ingest=params(archive))
    assert not list((project / "artifacts").rglob("*.part"))


def run(project: Path, archive: Path) -> subprocess.CompletedProcess[str]:
    """Run the stage as DVC does, on ``archive``."""
    root = Path(ingest.__file__).parents[1]
    text = (root / "params.yaml").read_text("utf-8")
    text = text.replace("https://files.grouplens.org/datasets/movielens/ml-1m.zip", str(archive))
    text = text.replace("c4d9eecfca2ab87c1945afe126590906", "null")
    for name, official in {
        "interactions": 1000209,
        "users": 6040,
        "rated_items": 3706,
        "items": 3883,
    }.items():
        text = text.replace(f"{name}: {official}", f"{name}: {SMALL[name]}")
    (project / "params.yaml").write_text(text, "utf-8")
    shutil.copy(root / "pyproject.toml", project)
    return subprocess.run(
        [sys.executable, "-m", "stages.ingest"],
        capture_output=True,
        text=True,
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(root)},
    )


def test_bad_input_gives_one_message_and_leaves_the_artifacts(project: Path) -> None:
    sound = run(project, write_archive(project / "small.zip"))
    assert (sound.returncode, sound.stderr) == (0, "")
    assert len(sound.stdout.splitlines()) == 8
    before = {path: sha256_file(path) for path in (project / "artifacts").rglob("*.*") if path.is_file()}
    assert len(before) == 10

    broken = write_archive(project / "broken.zip", {**FILES, "ratings.dat": b"1::1::9::978300760\n"})
    result = run(project, broken)
    assert result.returncode == 1
    assert result.stdout == ""
    assert result.stderr.splitlines() == [
        f"error: {broken}, ml-1m/ratings.dat, line 1, column Rating: '9' is not a whole number from 1 to 5",
        "  what to do: correct the file, or fetch the archive again",
    ]
    assert {path: sha256_file(path) for path in (project / "artifacts").rglob("*.*") if path.is_file()} == before
