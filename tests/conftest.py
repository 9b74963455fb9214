"""Fixtures shared by all tests."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

from stages.workspace import ROOT, environment
from tests.shared_imports import commands

if TYPE_CHECKING:
    from hierrec.model.inputs import Inputs

pytest_plugins = ["tests.model.fixtures", "tests.encode.fixtures", "tests.browser"]

# Processes that tests start run this checkout too, whatever `hierrec` is installed in the environment.
os.environ["PYTHONPATH"] = environment(ROOT)["PYTHONPATH"]

# A loaded machine is slow, so there is no deadline. In CI the examples are always the same.
settings.register_profile("hierrec", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("hierrec")

LONG = (
    *("test_pipeline.py", "test_commands.py", "test_demo.py", "test_same_numbers.py", "test_launch.py"),
    *("test_kills.py", "test_ray_engine.py", "test_own_data.py", "test_two_repros.py", "test_links.py"),
)
"""Files that take half a minute or more, the longest first."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the long tests first, so that no worker ends with them alone."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        items.sort(key=lambda item: [*LONG, item.path.name].index(item.path.name))


class SharedFixtures(LoadScopeScheduling):
    """Give all tests that share expensive fixtures (a file, or a folder with a conftest) to one worker.

    Groups of xdist (`loadgroup`) need `_nodeid`, which pytest 9.2 does not read.
    """

    def _split_scope(self, nodeid: str) -> str:
        path = Path(nodeid.partition("::")[0])
        shares = path.parent != Path("tests") and (ROOT / path.parent / "conftest.py").is_file()
        return str(path.parent if shares else path)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> SharedFixtures:
    """Return the scheduler of the workers."""
    return SharedFixtures(config, log)


@pytest.fixture(scope="session")
def ml1m_archive() -> Path:
    """The MovieLens-1M archive; tests that need it are marked `realdata`."""
    default = Path(__file__).parents[2] / "shared" / "ml-1m" / "ml-1m.zip"
    path = Path(os.environ.get("HIERREC_ML1M", default))
    if not path.is_file():
        pytest.skip(f"needs MovieLens-1M: no file {path} (set HIERREC_ML1M)")
    return path


@pytest.fixture(scope="session")
def sample_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace of the sample after the stages up to `train_rag`; to read, or to copy."""
    from tests.sample_run import run_sample  # imports torch, which few tests need

    return run_sample(tmp_path_factory.getbasetemp())


@pytest.fixture(scope="session")
def finished(sample_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace in which all stages have run on the sample; to read, or to copy."""
    from tests.sample_run import finish_sample

    return finish_sample(sample_run, tmp_path_factory.mktemp("finished"))


@pytest.fixture(scope="session")
def artifacts(sample_run: Path) -> Path:
    """The artifacts of `sample_run`; to read."""
    return sample_run / "artifacts"


@pytest.fixture(scope="module")
def inputs(artifacts: Path) -> "Inputs":
    """What the models of `artifacts` read."""
    from hierrec.model.inputs import load_inputs

    return load_inputs(artifacts / "data", artifacts / "item_embeddings")


@pytest.fixture
def shared_imports(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the processes that a test starts share their imports."""
    monkeypatch.setattr(sys, "executable", str(commands() / "python"))


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep tests out of the user's cache."""
    monkeypatch.setenv("HIERREC_CACHE", str(tmp_path_factory.getbasetemp() / "hierrec-cache"))


@pytest.fixture(autouse=True)
def denormal_numbers() -> Iterator[None]:
    """Keep denormal numbers, which Hypothesis draws: a training flushes them to zero in the whole process."""
    yield
    if (torch := sys.modules.get("torch")) is not None:
        torch.set_flush_denormal(False)
