"""A real project on disk: git, DVC and the whole pipeline on a small archive."""

import json
import subprocess
from hashlib import md5
from pathlib import Path
from typing import Any

import polars as pl
from hierrec.ingest.sample import sample_dataset
from ruamel.yaml import YAML

from stages.workspace import SAMPLE, commit, make_workspace, set_params, track
from tests.ingest.archives import write_raw
from tests.ingest.own_tables import events
from tests.shared_imports import sharing

SMALL = {
    **SAMPLE,
    "ingest.dataset": "movielens",
    "ingest.expected": None,
    "train.epochs": 3,
    "train.validate_every": 1,
    "fusion.steps": 40,
}


class Project:
    """A git repository with DVC in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def create(cls, folder: Path, archive: Path) -> "Project":
        """Make the repository and commit it; the pipeline has not run yet."""
        make_workspace(folder, {**SMALL, **archive_params(archive)})
        project = cls(folder)
        track(folder)
        project.commit("start")
        return project

    def run(self, *command: str, status: int = 0) -> str:
        """Run a command; return what it printed, after checking its exit status."""
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=sharing(self.folder),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert done.returncode == status, done.stdout
        return done.stdout

    def repro(self, *options: str) -> list[str]:
        """Run `dvc repro`; return the stages that ran, in order, without `params`."""
        output = self.run("dvc", "repro", *options)
        ran = [line.split("'")[1] for line in output.splitlines() if line.startswith("Running stage ")]
        return [stage for stage in ran if stage != "params"]

    def commit(self, message: str) -> None:
        """Commit everything that git does not ignore."""
        commit(self.folder, message)

    def set(self, **overrides: Any) -> None:
        """Set params; `__` stands for the dot."""
        dotted = {key.replace("__", "."): value for key, value in overrides.items()}
        set_params(self.folder / "params.yaml", dotted)

    def lock(self) -> dict[str, Any]:
        """Return the stages of dvc.lock."""
        return YAML(typ="safe").load(self.folder / "dvc.lock")["stages"]

    def read_json(self, path: str) -> Any:
        """Read a JSON artifact."""
        return json.loads((self.folder / path).read_text("utf-8"))


def archive_params(archive: Path) -> dict[str, Any]:
    """Return the overrides that name an archive."""
    return {"ingest.archive": str(archive), "ingest.md5": md5(archive.read_bytes()).hexdigest()}


def write_small_archive(path: Path, later: int = 0) -> Path:
    """Write an archive of 120 users; `later` shifts all timestamps by seconds, which changes no order."""
    raw = sample_dataset(seed=5, users=120, longest=30)
    shifted = events(raw).with_columns(pl.col("timestamp") + later, rating=pl.lit(4 if later else 5, pl.Int8))
    return write_raw(path, raw.items, shifted)
