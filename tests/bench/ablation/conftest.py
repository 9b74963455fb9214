"""The embedded sample as the project's stage `ingest` writes it, and a tiny model to compare."""

from pathlib import Path
from typing import Any

import pytest
from hierrec.ingest.dataset import build
from hierrec.ingest.sample import sample_dataset

from bench.ablation.settings import HERE, Settings, load_document, load_settings
from bench.ablation.training import Data, load_data

TINY = {
    "train.history": 20,
    "train.residual_width": 8,
    "train.backbone.config.hidden_size": 16,
    "train.backbone.config.num_hidden_layers": 1,
    "train.backbone.config.intermediate_size": 32,
    "train.negatives": 64,
    "train.batch_windows": 32,
    "train.warmup_steps": 2,
    "train.learning_rate": 1e-2,
    "encode.whitening_dimension": 16,
}


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Data:
    """A hundred and fifty users of the embedded sample."""
    folder = tmp_path_factory.mktemp("data")
    build(sample_dataset(users=150, longest=30)).write(folder)
    return load_data(folder)


@pytest.fixture(scope="session")
def settings() -> Settings:
    """The settings of the comparison, as they are in the repository."""
    return load_settings()


@pytest.fixture(scope="session")
def document(settings: Settings) -> dict[str, Any]:
    """The project's params.yaml."""
    return load_document(HERE / settings.params)


@pytest.fixture
def abstracts(data: Data) -> dict[str, str]:
    """A text for every item but the first."""
    return {item: f"A story about {item}." for item in data.items["item_id"][1:]}


@pytest.fixture
def vectors(tmp_path: Path) -> Path:
    """A path for item vectors."""
    return tmp_path / "vectors"
