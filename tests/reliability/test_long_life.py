"""Artifacts of earlier versions are read unchanged or refused with a remedy; unknown versions are refused."""

import json
import re
import shutil
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from hierrec.core.errors import CheckpointError, HierrecError, IndexMismatchError, StoreError

from tests.old_artifacts.readings import READINGS

OLD = Path(__file__).parents[1] / "old_artifacts"

READ = {
    "version_1": ["vectors", "whitened", "hierarchical"],
    "version_2": ["vectors", "whitened", "nearest", "hierarchical", "rag"],
    "version_2_shards": ["vectors", "whitened"],
    "version_3": ["vectors", "whitened", "nearest", "hierarchical", "rag"],
}
"""Readings that this release supports, by folder."""


class Versioned(NamedTuple):
    """An artifact with a schema version."""

    file: str
    oldest: int
    """Still read."""
    newest: int
    reading: str
    error: type[HierrecError]
    command: str
    """Rebuilds it."""


VERSIONED = [
    Versioned("store/manifest.json", 1, 2, "vectors", StoreError, "dvc repro"),
    Versioned("index/manifest.json", 2, 2, "nearest", IndexMismatchError, "dvc repro"),
    Versioned("hierarchical/config.json", 1, 2, "hierarchical", CheckpointError, "dvc repro"),
    Versioned("rag/base/config.json", 1, 2, "rag", CheckpointError, "dvc repro"),
    Versioned("rag/config.json", 2, 3, "rag", CheckpointError, "dvc repro"),
]

each_artifact = pytest.mark.parametrize("artifact", VERSIONED, ids=lambda artifact: artifact.file)


@pytest.fixture
def latest(tmp_path: Path) -> Path:
    """A copy of the artifacts of the latest version."""
    return Path(shutil.copytree(OLD / "version_3", tmp_path / "artifacts"))


def set_version(path: Path, version: object) -> None:
    document = json.loads(path.read_text("utf-8"))
    assert "schema_version" in document
    path.write_text(json.dumps({**document, "schema_version": version}), "utf-8")


def assert_refused(folder: Path, artifact: Versioned, version: int) -> None:
    with pytest.raises(artifact.error) as caught:
        READINGS[artifact.reading](folder)
    assert str((folder / artifact.file).parent) in str(caught.value)
    assert f"schema version {version}" in caught.value.what
    known = caught.value.what.replace(f"schema version {version}", "", 1)
    assert {int(number) for number in re.findall(r"\d+", known)} == {artifact.oldest, artifact.newest}
    assert f"`{artifact.command}`" in str(caught.value.remedy)


@pytest.mark.parametrize(("folder", "name"), [(folder, name) for folder, names in READ.items() for name in names])
def test_what_is_read_means_what_it_meant(folder: str, name: str) -> None:
    expected = json.loads((OLD / folder / "readings.json").read_text("utf-8"))
    np.testing.assert_allclose(READINGS[name](OLD / folder), expected[name], rtol=1e-4, atol=1e-5)


def test_every_artifact_of_version_1_is_read_or_refused() -> None:
    replaced = [artifact for artifact in VERSIONED if artifact.oldest > 1]
    assert {artifact.reading for artifact in replaced} == set(READINGS) - set(READ["version_1"])
    for artifact in replaced:
        assert_refused(OLD / "version_1", artifact, 1)


@each_artifact
def test_an_older_and_a_newer_version_are_refused(latest: Path, artifact: Versioned) -> None:
    for version in (artifact.oldest - 1, artifact.newest + 1):
        set_version(latest / artifact.file, version)
        assert_refused(latest, artifact, version)


@pytest.mark.parametrize("version", [None, "1", [1], 1.5])
@each_artifact
def test_a_version_that_is_no_number_is_refused(latest: Path, artifact: Versioned, version: object) -> None:
    set_version(latest / artifact.file, version)
    with pytest.raises(artifact.error):
        READINGS[artifact.reading](latest)


@pytest.mark.parametrize(("folder", "count"), list(zip(READ, (16, 16, 11, 19), strict=True)))
def test_the_old_artifacts_stay_small(folder: str, count: int) -> None:
    files = [path for path in (OLD / folder).rglob("*") if path.is_file()]
    assert len(files) == count
    assert sum(path.stat().st_size for path in files) < 64_000
