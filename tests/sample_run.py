"""Artifacts of the embedded sample, made by the stages themselves in this process: small, and barely trained."""

import importlib
import shutil
from contextlib import chdir
from pathlib import Path

import pytest
import torch

from stages.workspace import SAMPLE, make_workspace

STAGES = ("ingest", "encode", "index", "train_hierarchical", "train_rag")
REST = (
    *("params", "tune", "train_refit", "train_final", "evaluate_baselines", "evaluate_hierarchical"),
    *("evaluate_rag", "evaluate_refit", "evaluate_report"),
)
BRIEF = {**SAMPLE, "train.epochs": 2, "train.validate_every": 1, "fusion.steps": 1}


def run_sample(root: Path) -> Path:
    """Run the stages in a workspace under `root`; return the workspace, which holds `artifacts/`."""
    folder = root / "sample-run"
    make_workspace(folder, BRIEF)
    return _run(folder, STAGES, root / "hierrec-cache")


def finish_sample(sample_run: Path, root: Path) -> Path:
    """Run the rest of the stages in a copy of such a workspace under `root`; return the copy."""
    folder = shutil.copytree(sample_run, root / "workspace", symlinks=True)
    return _run(folder, REST, root / "cache")


def _run(folder: Path, stages: tuple[str, ...], cache: Path) -> Path:
    with pytest.MonkeyPatch.context() as patch, chdir(folder):
        patch.setenv("HIERREC_CACHE", str(cache))
        for stage in stages:
            importlib.import_module(f"stages.{stage}").main()
    torch.set_flush_denormal(False)  # which training sets
    return folder
