"""A checkout in which the pipeline has run on the sample, as a reader of the pages has one after `make demo`."""

import importlib
import shutil
from contextlib import chdir
from pathlib import Path

import pytest

from stages.workspace import ROOT, commit, run, track

REST = (
    "params",
    "tune",
    "train_refit",
    "train_final",
    "evaluate_baselines",
    "evaluate_hierarchical",
    "evaluate_rag",
)
REST += ("evaluate_refit", "evaluate_compare", "evaluate_report")
"""The stages that `sample_run` leaves out."""


@pytest.fixture(scope="session")
def finished(sample_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace in which all stages have run on the sample; to read, or to copy."""
    import torch

    folder = shutil.copytree(sample_run, tmp_path_factory.mktemp("finished") / "workspace", symlinks=True)
    with pytest.MonkeyPatch.context() as patch, chdir(folder):
        patch.setenv("HIERREC_CACHE", str(folder.parent / "cache"))
        for stage in REST:
            importlib.import_module(f"stages.{stage}").main()
    torch.set_flush_denormal(False)
    return folder


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
