"""The embedded sample as artifacts, with an untrained model."""

from pathlib import Path

import pytest

from bench.peers.contestants import missing
from bench.peers.sample import write_sample


@pytest.fixture(scope="session")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sample")
    write_sample(folder)
    return folder


@pytest.fixture(scope="session")
def peers() -> None:
    """The peers' environment; skips where it is missing."""
    reason = missing()
    if reason is not None:
        pytest.skip(reason)
