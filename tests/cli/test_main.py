"""The group of commands: its help, its exit status, and one message in place of a traceback."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hierrec.cli import COMMANDS, main
from hierrec.errors import DataError

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
        for command in (["metrics"], ["recommend", "--user", "1"], ["similar", "Heat"]):
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
