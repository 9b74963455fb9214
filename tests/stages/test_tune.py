"""Stage `tune`: `encode` takes its own model without epochs, and the tuned model with epochs."""

import importlib
import json
import shutil
from contextlib import chdir
from pathlib import Path

import numpy as np
import pytest

from stages.workspace import set_params


@pytest.fixture
def workspace(sample_run: Path, tmp_path: Path) -> Path:
    """A workspace with data and vectors of the sample."""
    folder = tmp_path / "workspace"
    for name in ("params.yaml", "pyproject.toml"):
        folder.mkdir(exist_ok=True)
        shutil.copy(sample_run / name, folder)
    for name in ("data", "item_embeddings"):
        shutil.copytree(sample_run / "artifacts" / name, folder / "artifacts" / name)
    return folder


def run(folder: Path, epochs: int) -> tuple[set[str], dict[str, str], np.ndarray]:
    """Run both stages; return the files of the encoder, and model and vectors of the store."""
    set_params(folder / "params.yaml", {"tune.epochs": epochs})
    with chdir(folder):
        for stage in ("tune", "encode"):
            importlib.import_module(f"stages.{stage}").main()
    store = folder / "artifacts" / "item_embeddings"
    model = json.loads((store / "manifest.json").read_text())["model"]
    files = {path.name for path in (folder / "artifacts" / "models" / "encoder").iterdir()}
    return files, model, np.load(store / "embeddings.npy")


def test_off_changes_no_bit_and_on_is_what_encode_takes(workspace: Path) -> None:
    before = np.load(workspace / "artifacts" / "item_embeddings" / "embeddings.npy")
    files, plain, vectors = run(workspace, 0)
    assert files == {"tune.json"}
    assert plain["id"] == "t5-nano"
    np.testing.assert_array_equal(vectors, before)
    files, tuned, vectors = run(workspace, 1)
    assert {"config.json", "model.safetensors", "tokenizer.json", "tune.json"} <= files
    assert tuned["weights_sha256"] != plain["weights_sha256"]
    assert np.abs(vectors - before).max() > 1e-3
    assert run(workspace, 0)[0] == {"tune.json"}
