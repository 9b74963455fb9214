"""Artifacts that DVC has linked to its cache: a failed stage can be undone, and no run writes through a link."""

from hashlib import md5
from pathlib import Path

import pytest

from stages.workspace import run, set_params
from tests.dvc_workspace import make_dvc_workspace, repro
from tests.reliability.sample_stages import contents

LINKS = ("hardlink", "symlink")


@pytest.fixture(scope="module", params=LINKS)
def project(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project after `encode`, with links to DVC's cache in place of the artifacts. Each test leaves it as it was."""
    folder = make_dvc_workspace(tmp_path_factory.mktemp("links") / "project")
    run(folder, "dvc", "config", "cache.type", request.param)
    assert repro(folder, "encode").returncode == 0
    run(folder, "dvc", "checkout", "--relink", "--allow-missing", "--quiet")
    table = folder / "artifacts" / "data" / "items.parquet"
    assert table.is_symlink() if request.param == "symlink" else table.stat().st_nlink > 1
    return folder


def damaged(folder: Path) -> list[Path]:
    """Return the files of DVC's cache whose content does not match their name."""
    files = [path for path in (folder / ".dvc" / "cache" / "files").rglob("*") if path.is_file()]
    assert files
    return [
        path
        for path in files
        if md5(path.read_bytes()).hexdigest() != path.parent.name + path.name.removesuffix(".dir")
    ]


def test_after_a_stage_that_failed_the_mended_params_bring_its_artifacts_back_without_a_run(project: Path) -> None:
    before = contents(project / "artifacts")
    params = (project / "params.yaml").read_text("utf-8")
    set_params(project / "params.yaml", {"ingest.item_text": "/no/such/file.csv"})
    refused = repro(project, "ingest")
    assert refused.returncode != 0
    assert "/no/such/file.csv" in refused.stdout
    assert not damaged(project)
    (project / "params.yaml").write_text(params, "utf-8")
    mended = repro(project, "ingest")
    assert mended.returncode == 0
    assert "Running stage 'ingest'" not in mended.stdout
    assert contents(project / "artifacts") == before
    assert not damaged(project)


def test_a_run_writes_through_no_link_and_leaves_nothing_stale(project: Path) -> None:
    before = contents(project / "artifacts")
    lock, params = ((project / name).read_bytes() for name in ("dvc.lock", "params.yaml"))
    (project / "artifacts" / "item_embeddings" / "stale").write_text("of another run")
    set_params(project / "params.yaml", {"encode.template": "{title}"})
    assert repro(project, "encode").returncode == 0
    after = contents(project / "artifacts")
    assert set(after) == set(before)
    assert after["item_embeddings/embeddings.npy"] != before["item_embeddings/embeddings.npy"]
    assert not damaged(project)
    (project / "dvc.lock").write_bytes(lock)
    (project / "params.yaml").write_bytes(params)
    run(project, "dvc", "checkout", "--force", "--allow-missing", "--quiet")
    assert contents(project / "artifacts") == before
