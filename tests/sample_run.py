"""Artifacts of the embedded sample, made by the stages themselves in this process: small, and barely trained."""

import importlib
from contextlib import chdir
from pathlib import Path

import pytest
import torch

from stages.workspace import SAMPLE, make_workspace

STAGES = ("ingest", "encode", "index", "train_hierarchical", "train_rag")
BRIEF = {**SAMPLE, "train.epochs": 2, "train.validate_every": 1, "fusion.epochs": 1}


def run_sample(root: Path) -> Path:
    """Run the stages in a workspace under `root`; return the workspace, in which lies `artifacts/`."""
    folder = root / "sample-run"
    make_workspace(folder, BRIEF)
    with pytest.MonkeyPatch.context() as patch, chdir(folder):
        patch.setenv("HIERREC_CACHE", str(root / "hierrec-cache"))
        for stage in STAGES:
            importlib.import_module(f"stages.{stage}").main()
    torch.set_flush_denormal(False)  # which training sets
    return folder
