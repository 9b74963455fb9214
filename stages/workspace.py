"""A workspace: a copy of the project that runs the pipeline on the embedded sample, outside the working tree."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

ROOT = Path(__file__).parents[1]
PARTS = ("pipeline", "stages", ".package", "dvc.yaml", "params.yaml", "pyproject.toml", ".dvcignore")

SAMPLE: dict[str, Any] = {
    "ingest.dataset": "sample",
    "train.history": 50,
    "train.residual_width": 64,
    "train.backbone.config.hidden_size": 64,
    "train.backbone.config.intermediate_size": 128,
    "train.negatives": 128,
    "train.epochs": 30,
    "train.batch_windows": 32,
    "train.warmup_steps": 20,
    "fusion.shortlist": 100,
    "fusion.neighbours": 50,
    "fusion.item_neighbours": 10,
}
"""Params for a few hundred items and users. The pipeline takes a minute instead of half an hour."""


def make_workspace(folder: Path, overrides: Mapping[str, Any] = SAMPLE) -> None:
    """Copy the pipeline into a new folder and set params there. `overrides` has dotted keys."""
    folder.mkdir(parents=True)
    for part in PARTS:
        if (source := ROOT / part).is_dir():
            shutil.copytree(source, folder / part, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / part)
    set_params(folder / "params.yaml", overrides)


def track(folder: Path) -> None:
    """Make a workspace a repository of git, with an identity of its own, and of DVC."""
    (folder / ".gitignore").write_text(".cache/\n__pycache__/\nartifacts/live/\ndvc_plots/\n")
    run(folder, "git", "init", "--quiet")
    for key, value in {"user.name": "demo", "user.email": "demo@example.org"}.items():
        run(folder, "git", "config", key, value)
    run(folder, "dvc", "init", "--quiet")


def commit(folder: Path, message: str = "a run on the sample") -> None:
    """Commit everything in a tracked workspace that git does not ignore."""
    run(folder, "git", "add", "--all")
    run(folder, "git", "commit", "--quiet", "--allow-empty", "--message", message)


def set_params(path: Path, overrides: Mapping[str, Any]) -> None:
    """Set dotted keys in a params.yaml and keep its comments."""
    yaml = YAML(typ="rt")
    params = yaml.load(path)
    for key, value in overrides.items():
        *sections, name = key.split(".")
        section = params
        for part in sections:
            section = section[part]
        section[name] = value
    yaml.dump(params, path)


def environment(folder: Path) -> dict[str, str]:
    """Return the environment variables for commands in a workspace: its code, this interpreter, its own cache."""
    scripts = str(Path(sys.executable).parent)
    return {
        **os.environ,
        "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(folder.resolve() / ".package"),
        "HIERREC_CACHE": str(folder.resolve() / ".cache"),
        "DVC_NO_ANALYTICS": "1",
    }


def run(folder: Path, *command: str) -> None:
    """Run a command in a workspace; raise ``CalledProcessError`` if its exit status is not 0."""
    subprocess.run(command, cwd=folder, env=environment(folder), check=True)
