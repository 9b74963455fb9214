"""The group of commands: its help, its exit status, and one message in place of a traceback."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from click.testing import CliRunner, Result
from hierrec.cli import main
from hierrec.core.errors import DataError, HierrecError

from tests.store.stores import make_store

COMMANDS = ("data", "embeddings", "export", "metrics", "recommend", "report", "serve", "similar", "update")
Run = Callable[..., Result]


def test_help_names_the_commands(run: Run) -> None:
    result = run("--help")
    assert result.exit_code == 0
    assert all(command in result.output for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(run: Run, command: str) -> None:
    result = run(command, "-h")
    assert result.exit_code == 0
    assert f"Usage: main {command} " in result.output


def test_help_imports_nothing_heavy() -> None:
    heavy = {"torch", "transformers", "faiss", "polars", "numpy", "rich"}
    code = (
        "import sys\nfrom hierrec.cli import main\nmain(['--help'], standalone_mode=False)\n"
        f"print('heavy:', *({heavy} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "heavy:"


def test_wrong_usage_has_status_2(run: Run) -> None:
    for arguments in (
        ["recommend"],
        ["recommend", "--user", "1", "--history", "Heat"],
        ["recommend", "--user", "1", "-k", "0"],
        ["recommend", "--user", "1", "--variant", "hierarchical", "--why"],
        ["similar"],
        ["retrain"],
    ):
        assert run(*arguments).exit_code == 2, arguments


def test_artifacts_that_are_not_there_give_one_message(run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "absent", tmp_path / "file"):
        for command in (["data"], ["metrics"], ["recommend", "--user", "1"], ["similar", "Heat"]):
            result = run(*command, "--artifacts", str(folder))
            assert result.exit_code == 1
            assert result.stdout == ""
            assert result.stderr.startswith(f"error: artifacts are missing: {folder}")
            assert "dvc repro`" in result.stderr
            assert "--artifacts .demo/artifacts" in result.stderr


def test_debug_shows_the_traceback(tmp_path: Path) -> None:
    arguments: list[Any] = ["--debug", "metrics", "--artifacts", str(tmp_path)]
    assert isinstance(CliRunner().invoke(main, arguments).exception, DataError)
    done = subprocess.run([sys.executable, "-m", "hierrec", *arguments], capture_output=True, text=True)
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    done = subprocess.run([sys.executable, "-m", "hierrec", *arguments[1:]], capture_output=True, text=True)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_that_cannot_be_written_gives_one_message(option: str) -> None:
    command = [sys.executable, "-m", "hierrec", option]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1
    first, second = done.stderr.splitlines()
    assert first == "error: output: cannot be written (No space left on device)"
    assert second.startswith("  what to do: ")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ZeroDivisionError("a defect\nof ours"), "unforeseen error, ZeroDivisionError: a defect\n"),
        (FileNotFoundError(2, "gone", "a/file"), "a/file: cannot be read or written (No such file or"),
        (MemoryError(), "memory ran out\n"),
    ],
)
def test_any_error_of_a_command_gives_one_message(
    run: Run, monkeypatch: pytest.MonkeyPatch, error: Exception, message: str
) -> None:
    @click.command()
    def broken() -> None:
        raise error

    monkeypatch.setitem(main.commands, "broken", broken)
    result = run("broken")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith(f"error: {message}")
    shown = CliRunner().invoke(main, ["--debug", "broken"]).exception
    assert isinstance(shown, HierrecError)
    assert shown.__context__ is error


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_a_command_with_one_line_and_nothing_half_written(tmp_path: Path, number: signal.Signals) -> None:
    if signal.getsignal(number) is signal.SIG_IGN:
        pytest.skip("the tests run under nohup, and an ignored signal stays ignored")
    vectors = np.random.default_rng(0).standard_normal((100_000, 6)).astype(np.float32)
    store = make_store(tmp_path / "store", [str(row) for row in range(len(vectors))], vectors)
    folder = tmp_path / "exports"
    folder.mkdir()
    out = folder / "vectors.txt"
    out.write_text("the old ones")
    command = [sys.executable, "-m", "hierrec", "embeddings", "export", str(store), "--format", "word2vec"]
    process = subprocess.Popen([*command, "--out", str(out), "--force"], stderr=subprocess.PIPE, text=True)
    while process.poll() is None and len(list(folder.iterdir())) == 1:
        time.sleep(0.002)
    process.send_signal(number)
    assert process.communicate()[1] == "interrupted\n"
    assert process.returncode == 128 + number
    assert list(folder.iterdir()) == [out]
    assert out.read_text() == "the old ones"
