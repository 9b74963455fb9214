"""The store is read with numpy and polars alone, where `hierrec` cannot be imported."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.stages.imports import ROOT
from tests.store.stores import make_store

EXAMPLE = ROOT / "examples" / "read_embeddings.py"
IDS = [f"item {number}" for number in range(30)]
VECTORS = np.random.default_rng(3).normal(size=(30, 6)).astype(np.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_store(tmp_path_factory.mktemp("stores") / "item_embeddings", IDS, VECTORS)


def run_without_hierrec(script: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a script in an interpreter that refuses this package and all that is not needed to read the store."""
    blocked = ["hierrec", "pipeline", "torch", "transformers", "faiss", "pyarrow", "safetensors"]
    code = f"""
import runpy, sys
sys.modules.update(dict.fromkeys({blocked!r}))
sys.argv = {[str(script), *arguments]!r}
runpy.run_path({str(script)!r}, run_name="__main__")
"""
    return subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True)


def test_the_example_finds_the_neighbours(folder: Path) -> None:
    done = run_without_hierrec(EXAMPLE, str(folder), "item 4")
    assert done.returncode == 0, done.stderr
    unit = VECTORS / np.linalg.norm(VECTORS, axis=1, keepdims=True)
    order = [row for row in np.argsort(-(unit @ unit[4])) if row != 4]
    assert done.stdout.strip() == str([f"Film item {row}" for row in order[:10]])


def test_the_example_names_an_unknown_item(folder: Path) -> None:
    done = run_without_hierrec(EXAMPLE, str(folder), "item 4000")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"there is no item 'item 4000' in {folder}\n"


def test_the_example_has_a_dozen_lines() -> None:
    _, *lines = [line for line in EXAMPLE.read_text("utf-8").splitlines() if line.strip() and line[0] != "#"]
    assert len(lines) == 12
    assert not any("hierrec" in line for line in lines)


def test_hierrec_is_out_of_reach_there(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text("import hierrec\n")
    done = run_without_hierrec(script)
    assert done.returncode == 1
    assert "import of hierrec halted" in done.stderr
