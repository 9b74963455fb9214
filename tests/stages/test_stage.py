"""A stage as a command: params in, a summary or one message out, its own code, a cache that can be written."""

import os
import platform
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
import torch
from hierrec.core.errors import DataError, ParamsError, UnforeseenError
from hierrec.core.files import cache_dir
from hierrec.core.signals import INTERRUPTED
from hierrec.core.stage import Stage, Summary, check_libraries
from hierrec.ingest.params import IngestParams

from tests.stages.imports import ROOT


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with the params and the declarations of the project."""
    for name in ("params.yaml", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def message(run: Callable[[], None], capsys: pytest.CaptureFixture[str]) -> str:
    """Return the message with which a stage ends."""
    with pytest.raises(SystemExit) as caught:
        run()
    assert caught.value.code == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    return captured.err


def test_the_stages_run_the_code_beside_them(tmp_path: Path) -> None:
    # The environment's `hierrec` may be an editable install of another checkout; here it is `ROOT`.
    folder = tmp_path / "copy"
    for name in ("stages", "pipeline", ".package"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, folder / name, symlinks=True, ignore=ignored)
    code = "import stages, hierrec; print(hierrec.__file__)"
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, env={}, capture_output=True, text=True, check=True)
    assert Path(done.stdout.strip()).resolve() == (folder / "pipeline" / "__init__.py").resolve()


def test_a_stage_gets_its_sections_and_prints_its_summary(capsys: pytest.CaptureFixture[str]) -> None:
    @Stage
    def main(ingest: IngestParams) -> Summary:
        return [f"dataset {ingest.dataset}", "done"]

    main()
    assert capsys.readouterr().out == "dataset movielens\ndone\n"


def test_a_typed_error_becomes_one_message(capsys: pytest.CaptureFixture[str]) -> None:
    @Stage
    def main(ingest: IngestParams) -> Summary:
        raise DataError("a value is missing", "a table", "add it")

    assert message(main, capsys) == "error: a table: a value is missing\n  what to do: add it\n"


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    ],
)
def test_memory_that_runs_out_becomes_one_message(error: Exception, capsys: pytest.CaptureFixture[str]) -> None:
    @Stage
    def main(ingest: IngestParams) -> Summary:
        raise error

    assert message(main, capsys).startswith("error: memory ran out\n  what to do: end other programs")


def test_a_panic_of_polars_becomes_one_message(capsys: pytest.CaptureFixture[str]) -> None:
    @Stage
    def main(ingest: IngestParams) -> Summary:
        raise pl.exceptions.PanicException("capacity overflow")

    assert message(main, capsys).startswith("error: unforeseen error, PanicException: capacity overflow")


def test_an_unforeseen_error_becomes_one_message(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    @Stage
    def main(ingest: IngestParams) -> Summary:
        raise RuntimeError("a defect of ours\nand its details")

    told = message(main, capsys)
    assert told.startswith("error: unforeseen error, RuntimeError: a defect of ours\n  what to do: report it")
    monkeypatch.setattr(sys, "argv", [*sys.argv, "--debug"])
    with pytest.raises(UnforeseenError) as caught:
        main()
    assert isinstance(caught.value.__cause__, RuntimeError)


def test_a_file_that_the_system_refuses_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    @Stage
    def main(ingest: IngestParams) -> Summary:
        Path("no-such-file").read_text()
        return []

    assert message(main, capsys).startswith("error: no-such-file: cannot be read or written (No such file")


def test_an_interrupt_becomes_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    @Stage
    def main(ingest: IngestParams) -> Summary:
        raise KeyboardInterrupt

    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 130
    assert capsys.readouterr() == ("", f"{INTERRUPTED}\n")


def test_outside_the_root_the_message_says_so(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    @Stage
    def main() -> Summary:
        raise AssertionError

    (project / "elsewhere").mkdir()
    monkeypatch.chdir(project / "elsewhere")
    assert "run from the root of the project" in message(main, capsys)


def test_the_environment_has_the_declared_libraries() -> None:
    declared = tomllib.loads(Path("pyproject.toml").read_text("utf-8"))["tool"]["hierrec"]["libraries"]
    assert len(declared) >= 10
    check_libraries()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (None, "cannot be read"),
        ("[tool", "cannot be read"),
        ("[tool.other]", "cannot be read"),
        ("tool = 1", "cannot be read"),
        ("[tool.hierrec]\nlibraries = 3", "cannot be read"),
        ('[tool.hierrec]\nlibraries = "torch"', "cannot be read"),
        (
            '[tool.hierrec.libraries]\ntorch = "0.1"',
            r"torch 0\.1 is declared, but the installed version is 2",
        ),
    ],
)
def test_libraries_that_are_not_as_declared_are_refused(project: Path, text: str | None, problem: str) -> None:
    (project / "pyproject.toml").unlink()
    if text is not None:
        (project / "pyproject.toml").write_text(text)
    with pytest.raises(ParamsError, match=problem):
        check_libraries()


def test_a_library_that_is_not_installed_is_named(project: Path) -> None:
    (project / "pyproject.toml").write_text('[tool.hierrec.libraries]\nno-such-library = "1"')
    with pytest.raises(ParamsError, match="not installed"):
        check_libraries()


def test_the_cache_is_where_the_environment_says(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HIERREC_CACHE", str(project / "a" / "b"))
    assert cache_dir("encode") == cache_dir("encode") == project / "a" / "b" / "encode"
    assert list((project / "a" / "b" / "encode").iterdir()) == []


@pytest.mark.parametrize("place", ["params.yaml", "params.yaml/cache", "/proc/no-such-folder"])
def test_a_cache_that_cannot_be_written_is_a_typed_error(monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    monkeypatch.setenv("HIERREC_CACHE", place)
    with pytest.raises(ParamsError, match="HIERREC_CACHE"):
        cache_dir("encode")


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the setting is glibc's")
def test_memory_that_was_freed_is_used_again_without_asking_the_system() -> None:
    code = """
import resource, sys
import numpy as np
from hierrec.core.memory import keep_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(3):
        np.ones(8_000_000)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

faults()
asked = faults()
keep_freed_memory()
faults()
print(asked, faults())
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    asked, kept = map(int, done.stdout.split())
    assert kept < 100 < asked


def ends(body: str, redirection: str) -> subprocess.CompletedProcess[str]:
    """Run a stage of its own, in a shell that tells its exit status."""
    code = f"import stages\nfrom hierrec.core.stage import Stage\n@Stage\ndef main():\n    {body}\nmain()"
    command = ["bash", "-c", f'"$0" -c "$1" {redirection}', sys.executable, code]
    paths = os.pathsep.join([str(ROOT), str(ROOT / ".package")])
    return subprocess.run(command, env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True)


def test_garbage_is_collected_while_a_stage_runs_but_not_while_it_imports() -> None:
    code = """
import gc, sys
sys.argv = ["-m"]
import stages
print(gc.isenabled())
from hierrec.core.stage import Stage
Stage(lambda: [str(gc.isenabled())])()
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]


CLOSED = "| sleep 0; exit ${PIPESTATUS[0]}"


def test_a_summary_that_nobody_reads_is_no_error() -> None:
    done = ends("import time; time.sleep(1); return ['done']", CLOSED)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_pipe_that_breaks_within_the_stage_is_an_error() -> None:
    # With status 0 DVC would record the old artifacts as the new ones.
    done = ends("raise BrokenPipeError(32, 'a pipe of its own')", CLOSED)
    assert done.returncode == 1
    assert done.stderr.startswith("error: input or output: cannot be read or written (Broken pipe)")


def test_a_summary_that_cannot_be_written_is_an_error() -> None:
    done = ends("return ['done']", "> /dev/full")
    assert done.returncode == 1
    assert done.stderr.splitlines()[0] == "error: output: cannot be written (No space left on device)"
    assert len(done.stderr.splitlines()) == 2
