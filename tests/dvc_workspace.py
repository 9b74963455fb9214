"""A workspace of the sample with DVC and without git."""

import subprocess
from pathlib import Path

from stages.workspace import make_workspace, run
from tests.shared_imports import sharing


def make_dvc_workspace(folder: Path) -> Path:
    """Make the workspace; return its folder."""
    make_workspace(folder)
    run(folder, "dvc", "init", "--no-scm", "--quiet")
    return folder


def repro(folder: Path, stage: str) -> subprocess.CompletedProcess[str]:
    """Run `dvc repro` of a stage; `stdout` holds all its output."""
    return subprocess.run(
        ["dvc", "repro", stage],
        cwd=folder,
        env=sharing(folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
