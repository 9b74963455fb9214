"""Every broken artifact: exit code 1, one message with place and remedy, no traceback, artifacts as they were."""

import importlib
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hierrec.core.files import CHECKSUMS, seal, sha256_file

from stages.workspace import environment, set_params
from tests.stages.broken_artifacts import BROKEN, Case


@pytest.fixture(scope="module")
def built(sample_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace in which the stages have run, for this module to spoil."""
    folder = tmp_path_factory.mktemp("spoilt") / "project"
    shutil.copytree(sample_run, folder, symlinks=True)
    return folder


@pytest.fixture
def project(built: Path, sample_run: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The workspace as the current folder; it is restored afterwards."""
    monkeypatch.chdir(built)
    yield built
    shutil.copy(sample_run / "params.yaml", built)
    if artifacts(built) != artifacts(sample_run):
        shutil.rmtree(built / "artifacts")
        shutil.copytree(sample_run / "artifacts", built / "artifacts")


def spoil(project: Path, case: Case) -> None:
    if case.edit is not None:
        path = project / "artifacts" / case.path
        case.edit(path)
        if case.sealed:
            for folder in [folder for folder in path.parents if (folder / CHECKSUMS).is_file()]:
                (folder / CHECKSUMS).unlink()
                seal(folder)
    if case.params:
        set_params(project / "params.yaml", case.params)


def artifacts(project: Path) -> dict[str, str]:
    """Return the hash of every file under `artifacts/`."""
    found = sorted(path for path in (project / "artifacts").rglob("*") if path.is_file())
    return {str(path.relative_to(project)): sha256_file(path) for path in found}


def check(message: str, case: Case) -> None:
    assert message.startswith("error: ")
    assert message.count("error: ") == 1
    assert message.count("\n  what to do: ") == 1
    assert re.search(case.message, message, re.DOTALL), message
    assert len(message) < 1000
    assert "Traceback" not in message


def test_the_corpus_does_not_shrink() -> None:
    assert len(BROKEN) >= 50
    assert {case.stage for case in BROKEN.values()} >= {
        *("encode", "index", "train_hierarchical", "train_rag"),
        *("evaluate_hierarchical", "evaluate_rag", "evaluate_report"),
    }


@pytest.mark.parametrize("name", BROKEN)
def test_it_is_refused_and_nothing_changes(project: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    case = BROKEN[name]
    spoil(project, case)
    before = artifacts(project)
    with pytest.raises(SystemExit) as caught:
        importlib.import_module(f"stages.{case.stage}").main()
    output = capsys.readouterr()
    assert caught.value.code == 1
    assert output.out == ""
    check(output.err, case)
    assert artifacts(project) == before


@pytest.mark.usefixtures("shared_imports")
def test_so_it_is_on_the_command_line_and_debug_shows_the_traceback(project: Path) -> None:
    case = BROKEN["store: NaN"]
    spoil(project, case)
    before = artifacts(project)

    def run(*options: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", f"stages.{case.stage}", *options]
        return subprocess.run(command, env=environment(project), capture_output=True, text=True)

    done = run()
    assert (done.returncode, done.stdout) == (1, "")
    check(done.stderr, case)
    done = run("--debug")
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "StoreError" in done.stderr
    assert artifacts(project) == before
