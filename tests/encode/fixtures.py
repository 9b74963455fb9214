"""Fixtures of the item LLM's tests."""

import shutil
from pathlib import Path

import pytest

from tests.encode.tiny_models import ModelFolder, save_model


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> ModelFolder:
    """Folders of tiny models, each saved once."""
    root = tmp_path_factory.mktemp("models")

    def folder(kind: str) -> Path:
        if not (root / kind).exists():
            save_model(kind, root / kind)
        return root / kind

    return folder


@pytest.fixture
def copy(model_folder: ModelFolder, tmp_path: Path) -> Path:
    """A tiny T5 that a test may damage."""
    return Path(shutil.copytree(model_folder("t5"), tmp_path / "copy"))
