"""Artifacts of version 1 are read as they were; those of another version are refused, with the way out."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from hierrec.errors import CheckpointError, HierrecError, IndexMismatchError, StoreError

from tests.old_artifacts.readings import readings

VERSION_1 = Path(__file__).parents[1] / "old_artifacts" / "version_1"

REFUSED = [
    ("store/manifest.json", StoreError, "dvc repro encode"),
    ("index/manifest.json", IndexMismatchError, "dvc repro index"),
    ("hierarchical/config.json", CheckpointError, "dvc repro"),
    ("rag/base/config.json", CheckpointError, "dvc repro"),
    ("rag/config.json", CheckpointError, "dvc repro"),
]
"""File that names the version, error, command that makes the artifact again."""


@pytest.fixture
def artifacts(tmp_path: Path) -> Path:
    """A copy of the artifacts of version 1."""
    return Path(shutil.copytree(VERSION_1, tmp_path / "artifacts"))


def set_version(path: Path, version: object) -> None:
    document = json.loads(path.read_text("utf-8"))
    assert document["schema_version"] == 1
    path.write_text(json.dumps({**document, "schema_version": version}), "utf-8")


def test_version_1_is_read_and_means_what_it_meant() -> None:
    expected = json.loads((VERSION_1 / "readings.json").read_text("utf-8"))
    found = readings(VERSION_1)
    assert found.keys() == expected.keys()
    for name, numbers in expected.items():
        np.testing.assert_allclose(found[name], numbers, rtol=1e-4, atol=1e-5, err_msg=name)


@pytest.mark.parametrize("version", [0, 2])
@pytest.mark.parametrize(("file", "error", "command"), REFUSED)
def test_an_older_and_a_newer_version_are_refused(
    artifacts: Path, file: str, error: type[HierrecError], command: str, version: int
) -> None:
    set_version(artifacts / file, version)
    with pytest.raises(error) as caught:
        readings(artifacts)
    assert str((artifacts / file).parent) in str(caught.value)
    assert f"schema version {version}" in caught.value.what
    assert "version 1" in caught.value.what
    assert f"`{command}" in str(caught.value.remedy)


@pytest.mark.parametrize("version", [None, "1", [1], 1.5])
@pytest.mark.parametrize(("file", "error", "_"), REFUSED)
def test_a_version_that_is_no_number_is_refused(
    artifacts: Path, file: str, error: type[HierrecError], _: str, version: object
) -> None:
    set_version(artifacts / file, version)
    with pytest.raises(error):
        readings(artifacts)


def test_the_old_artifacts_stay_small() -> None:
    files = [path for path in VERSION_1.rglob("*") if path.is_file()]
    assert len(files) == 16
    assert sum(path.stat().st_size for path in files) < 64_000
