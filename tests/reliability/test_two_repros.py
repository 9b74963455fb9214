"""`dvc repro` beside a `dvc repro`, and after a killed `dvc repro`: the state of DVC's own files."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.torture.through_dvc import mend
from stages.workspace import environment
from tests.dvc_workspace import make_dvc_workspace, repro

REPRO = ("dvc", "repro", "ingest")


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    return make_dvc_workspace(tmp_path / "workspace")


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace after a `dvc repro`. Each test leaves it as it was."""
    workspace = make_dvc_workspace(tmp_path_factory.mktemp("done") / "workspace")
    assert repro(workspace, "ingest").returncode == 0
    return workspace


@pytest.fixture
def first(workspace: Path) -> Iterator[subprocess.Popen[str]]:
    """A `dvc repro` that was stopped (not ended) while it runs its stage."""
    process = subprocess.Popen(
        REPRO,
        cwd=workspace,
        env=environment(workspace),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    while process.poll() is None and not (workspace / "artifacts" / "data").exists():
        time.sleep(0.002)
    os.killpg(process.pid, signal.SIGSTOP)
    yield process
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def writes(workspace: Path) -> bool:
    """Whether DVC says that it is writing an artifact."""
    try:
        locks = json.loads((workspace / ".dvc" / "tmp" / "rwlock").read_text("utf-8"))
    except (FileNotFoundError, ValueError):
        return False
    return any("artifacts/data" in path for path in locks.get("write", {}))


def artifacts(workspace: Path) -> list[str]:
    return sorted(str(path.relative_to(workspace)) for path in (workspace / "artifacts").rglob("*"))


def test_the_second_of_two_is_refused_and_the_first_ends_well(workspace: Path, first: subprocess.Popen[str]) -> None:
    before = artifacts(workspace)
    second = repro(workspace, "ingest")
    assert second.returncode != 0
    assert "Traceback" not in second.stdout
    assert "is busy, it is being blocked by" in second.stdout
    assert f"(PID {first.pid}): " in second.stdout
    assert artifacts(workspace) == before
    os.killpg(first.pid, signal.SIGCONT)
    assert first.wait() == 0, first.stdout
    assert "Stage 'ingest' didn't change" in repro(workspace, "ingest").stdout


def test_the_locks_of_a_killed_one_do_not_block_the_next(workspace: Path, first: subprocess.Popen[str]) -> None:
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    assert writes(workspace), "nothing was left locked"
    done = repro(workspace, "ingest")
    assert done.returncode == 0, done.stdout
    assert not writes(workspace)
    assert not list((workspace / "artifacts").rglob("*.part"))


@pytest.mark.parametrize("length", [0, 16, 300])
def test_a_cut_dvc_lock_is_refused_and_the_one_before_gives_back_the_stage(done: Path, length: int) -> None:
    lock = done / "dvc.lock"
    whole = lock.read_bytes()
    lock.write_bytes(whole[:length])
    if length < 300:  # DVC can read 300 bytes
        refused = repro(done, "ingest")
        assert refused.returncode != 0
        assert "Traceback" not in refused.stdout
        assert mend(done, refused.stdout, b"schema: '2.0'\nstages: {}\n") == "dvc.lock put back: "
    again = repro(done, "ingest")
    assert again.returncode == 0, again.stdout
    assert "Stage 'ingest' is cached - skipping run" in again.stdout
    assert lock.read_bytes() == whole


@pytest.mark.parametrize("left", ["", '{"write": {"artifacts'])
def test_a_cut_rwlock_is_refused_and_can_be_removed(done: Path, left: str) -> None:
    (done / ".dvc" / "tmp" / "rwlock").write_text(left, "utf-8")
    refused = repro(done, "ingest")
    assert refused.returncode != 0
    assert "Traceback" not in refused.stdout
    assert mend(done, refused.stdout, b"") == "rwlock removed: "
    assert "Stage 'ingest' didn't change" in repro(done, "ingest").stdout


def test_another_refusal_is_left_alone(tmp_path: Path) -> None:
    assert mend(tmp_path, "ERROR: failed to reproduce 'ingest'", b"") == ""
