"""Stages of the sample, run in this process with one thread, in a copy of a workspace, with other params."""

import importlib
import random
import shutil
from collections.abc import Mapping, Sequence
from contextlib import chdir
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hierrec.core.files import read_details, sha256_file
from threadpoolctl import threadpool_limits

from stages.workspace import set_params

TRAIN = ("train_hierarchical", "train_rag", "evaluate_baselines", "evaluate_hierarchical", "evaluate_rag")
AFTER_INGEST = ("encode", "index", *TRAIN)
EVALUATE = TRAIN[2:]


def run_stages(
    workspace: Path,
    folder: Path,
    stages: Sequence[str],
    params: Mapping[str, Any] | None = None,
) -> Path:
    """Copy a workspace, run stages there, and return the copy's `artifacts/`; its caches are its own."""
    shutil.copytree(workspace, folder, symlinks=True)
    set_params(folder / "params.yaml", params or {})
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with pytest.MonkeyPatch.context() as patch, chdir(folder), threadpool_limits(1):
            patch.setenv("HIERREC_CACHE", str(folder / ".cache"))
            for stage in stages:
                importlib.import_module(f"stages.{stage}").main()
    finally:
        torch.set_num_threads(threads)
        torch.set_flush_denormal(False)  # which training sets
    return folder / "artifacts"


def scramble(seed: int) -> None:
    """Put every global random generator into another state."""
    torch.manual_seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - the global state is what is scrambled
    random.seed(seed)


def contents(artifacts: Path) -> dict[str, str]:
    """Return the hash of every file."""
    files = sorted(path for path in artifacts.rglob("*") if path.is_file())
    return {str(path.relative_to(artifacts)): sha256_file(path) for path in files}


def metrics(artifacts: Path) -> dict[str, float]:
    """Return validation and test metrics of both variants, by name."""
    return {
        f"{variant} {split} {name}": value
        for variant in ("hierarchical", "rag")
        for split in ("validation", "test")
        for name, value in read_details(artifacts / "metrics" / f"{variant}.json")[split].items()
    }
