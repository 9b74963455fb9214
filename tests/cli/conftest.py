"""The command, run in this process on artifacts of the sample."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hierrec.cli import main
from hierrec.core.files import write_details

from tests.cli.catalogue import VECTORS
from tests.cli.metrics_files import write_metrics
from tests.store.stores import make_store


@pytest.fixture
def run() -> Callable[..., Result]:
    def run(*arguments: str) -> Result:
        result = CliRunner().invoke(main, arguments)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result

    return run


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store of the vectors of five items, with whitening."""
    return make_store(tmp_path / "store", list("abcde"), VECTORS, dimension=2)


@pytest.fixture
def committed(tmp_path: Path) -> Callable[..., None]:
    """A DVC project in git; the function commits metrics (an older format, without a list) and a param."""
    for command in (["git", "init", "--quiet"], ["dvc", "init", "--quiet"]):
        subprocess.run(command, cwd=tmp_path, check=True)

    def commit(rag: Any, epochs: int, **more: Any) -> None:
        write_metrics(tmp_path, rag)
        for name, content in more.items():
            write_details(tmp_path / "metrics" / f"{name}.json", content)
        (tmp_path / "params.yaml").write_text(f"train:\n  epochs: {epochs}\n  seed: 1\n")
        settings = ["-c", "user.name=tester", "-c", "user.email=tester@example.org"]
        for command in (["add", "."], [*settings, "commit", "--quiet", "-m", "a run"]):
            subprocess.run(["git", *command], cwd=tmp_path, check=True)

    return commit
