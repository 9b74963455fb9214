"""A workspace on the embedded sample, and the comparison of its artifacts."""

import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hierrec.core.files import sha256_file

from bench.dvc_stages import stages_of
from stages.workspace import SAMPLE, make_workspace

SMALL: dict[str, Any] = {
    **SAMPLE,
    "train.residual_width": 16,
    "train.backbone.config.hidden_size": 32,
    "train.backbone.config.intermediate_size": 64,
    "train.backbone.config.num_hidden_layers": 1,
    "train.epochs": 4,
    "train.validate_every": 1,
    "fusion.steps": 1,
    "evaluate.resamples": 50,
}
"""Params for stages of about a second; files and order of writes do not depend on them."""

ROWS = re.compile(r"[0-9a-f]{64}\.npy")
"""Name of a file of encoded rows, the only files in the cache after all stages have run."""


@dataclass(frozen=True)
class Workspace:
    """A copy of the project.

    Attributes:
        folder: its path.
    """

    folder: Path

    @classmethod
    def make(cls, folder: Path) -> "Workspace":
        """Copy the project to the folder; no stage has run there."""
        make_workspace(folder, SMALL)
        return cls(folder)

    @property
    def cache(self) -> Path:
        """Folder of encoded rows and training states."""
        return self.folder / ".cache"

    @property
    def stages(self) -> dict[str, list[str]]:
        """The stages in order, each with its output paths."""
        definitions = stages_of(self.folder / "dvc.yaml")
        return {name: _written(definition) for name, definition in definitions.items()}

    def forget(self, stage: str) -> None:
        """Remove a stage's outputs and every cache."""
        self.remove_outs(stage)
        shutil.rmtree(self.cache, ignore_errors=True)

    def remove_outs(self, stage: str) -> None:
        """Remove a stage's outputs, as DVC does before it runs a stage."""
        for out in self.stages[stage]:
            path = self.folder / out
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)

    def contents(self) -> dict[str, str]:
        """Return the hash of every artifact, and the files that a killed writer left in the cache."""
        artifacts = [path for path in (self.folder / "artifacts").rglob("*") if path.is_file()]
        leftovers = [path for path in self.cache.rglob("*") if path.is_file() and not ROWS.fullmatch(path.name)]
        return {
            **{str(path.relative_to(self.folder)): sha256_file(path) for path in artifacts},
            **{str(path.relative_to(self.folder)): "left over" for path in leftovers},
        }


def differences(contents: Mapping[str, str], expected: Mapping[str, str]) -> list[str]:
    """Return the files that are missing, unexpected or different."""
    return sorted(path for path in {*contents, *expected} if contents.get(path) != expected.get(path))


def _written(definition: Mapping[str, Any]) -> list[str]:
    entries = [entry for kind in ("outs", "metrics", "plots") for entry in definition.get(kind, [])]
    return [entry if isinstance(entry, str) else next(iter(entry)) for entry in entries]
