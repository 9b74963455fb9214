"""Fixtures of the data tests."""

from pathlib import Path

import pytest

from tests.ingest.archives import write_archive


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """A small sound archive in MovieLens-1M's layout."""
    return write_archive(tmp_path / "small.zip")
