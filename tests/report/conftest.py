"""One world for all tests of the report."""

import pytest

from tests.report.world import World


@pytest.fixture(scope="package")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Items with odd titles and genres, users, a model and its retrieval."""
    return World(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="package")
def plain_world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """The same without genres and years."""
    return World(tmp_path_factory.mktemp("plain-world"), genres=False)
