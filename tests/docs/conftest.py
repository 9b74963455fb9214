"""A checkout after `make demo`, as a reader of the pages has it."""

import shutil
from pathlib import Path

import pytest

from stages.workspace import ROOT, commit, run, track


@pytest.fixture(scope="session")
def checkout(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout after `make demo`: examples, pages, and the demo with two commits in `.demo/`; to copy."""
    folder = tmp_path_factory.mktemp("checkout") / "hierrec"
    for part in ("examples", "docs"):
        shutil.copytree(ROOT / part, folder / part)
    demo = shutil.copytree(finished, folder / ".demo", symlinks=True)
    track(demo)
    run(demo, "dvc", "commit", "--force", "--quiet")
    commit(demo)
    return folder
