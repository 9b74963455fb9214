"""A published store with two versions, and projects that use it; they share only the remote."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from tests.reuse.publisher import STORE, new_project, new_publisher, publish
from tests.stages.project import Project


class Published(NamedTuple):
    """The store's URL, its tags, and its expected vectors."""

    url: str
    tags: list[str]
    vectors: list[np.ndarray]
    project: Project

    def add(self, version: str, template: str) -> None:
        """Publish a version; the project's own cache is emptied, so that vectors come from the remote alone."""
        self.tags.append(publish(self.project, version, template))
        self.vectors.append(np.load(self.project.folder / STORE / "embeddings.npy"))
        shutil.rmtree(self.project.folder / ".dvc" / "cache")


@pytest.fixture(scope="session")
def own_dvc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Keep DVC off the user's settings and off the machine's cache of repositories."""
    root = tmp_path_factory.mktemp("reuse")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("SITE_CACHE", "GLOBAL_CONFIG", "SYSTEM_CONFIG"):
            patch.setenv(f"DVC_{name}_DIR", str(root / name.lower()))
        patch.setenv("HIERREC_CACHE", str(root / "rows"))
        yield root


@pytest.fixture(scope="session")
def first(own_dvc: Path) -> Published:
    """The project after its first version."""
    project = new_publisher(own_dvc / "publisher", own_dvc / "remote")
    published = Published(f"file://{project.folder}", [], [], project)
    published.add("v1.0.0", "{title}")
    return published


@pytest.fixture(scope="session")
def importer(first: Published, own_dvc: Path) -> Project:
    """A project that imports the store, follows the publisher, and has the first version."""
    project = new_project(own_dvc / "importer")
    project.run("dvc", "import", first.url, STORE)
    project.commit("import")
    return project


@pytest.fixture(scope="session")
def published(first: Published, importer: Project) -> Published:
    """The project after its second version."""
    first.add("v2.0.0", "{title} ({year}). Genres: {genres}.")
    assert not np.array_equal(first.vectors[0], first.vectors[1])
    return first


@pytest.fixture
def other(own_dvc: Path, tmp_path: Path) -> Project:
    """An empty project."""
    return new_project(tmp_path / "other")


@pytest.fixture(scope="session")
def version_in() -> Callable[[Path, Published], int]:
    """The version of the store in a folder: 1 or 2."""

    def version(folder: Path, published: Published) -> int:
        vectors = np.load(folder / "embeddings.npy", mmap_mode="r")
        return 1 + [np.array_equal(vectors, right) for right in published.vectors].index(True)

    return version
