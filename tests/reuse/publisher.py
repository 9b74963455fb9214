"""A small published project with a store: git, DVC and a DVC remote on this disk."""

from pathlib import Path

import polars as pl
from hierrec.encode.encode_items import encode_items
from hierrec.encode.params import EncodeParams
from ruamel.yaml import YAML

from tests.stages.imports import ROOT
from tests.stages.project import Project

STORE = "artifacts/item_embeddings"
ITEMS = pl.DataFrame(
    {
        "item_id": ["1", "2", "10", "x y", "ä"],
        "title": ["Heat", "Alien", "Stalker", "M", "Amélie"],
        "year": [1995, 1979, None, 1931, 2001],
        "genres": [["Crime"], ["Horror", "Sci-Fi"], ["Drama"], ["Crime"], []],
    }
)


def new_project(folder: Path) -> Project:
    """Make an empty git repository with DVC."""
    folder.mkdir(parents=True)
    project = Project(folder)
    project.run("git", "init", "--quiet")
    for key, value in {"user.name": "tester", "user.email": "tester@example.org"}.items():
        project.run("git", "config", key, value)
    project.run("dvc", "init", "--quiet")
    return project


def new_publisher(folder: Path, remote: Path) -> Project:
    """Make the project that has the store: this one's `artifacts:` section, and a DVC remote."""
    project = new_project(folder)
    remote.mkdir()
    project.run("dvc", "remote", "add", "--default", "storage", str(remote))
    yaml = YAML(typ="rt")
    yaml.dump({"artifacts": yaml.load(ROOT / "dvc.yaml")["artifacts"]}, folder / "dvc.yaml")
    return project


def publish(project: Project, version: str, template: str) -> str:
    """Encode the items, push the store, tag the version; return the tag."""
    settings = {"model": "t5-nano", "revision": None, "max_length": 64, "batch_tokens": 512}
    params = EncodeParams.model_validate({**settings, "template": template, "whitening_dimension": 2})
    encode_items(ITEMS, params, project.folder / STORE)
    project.run("dvc", "add", "--quiet", STORE)
    project.run("dvc", "push", "--quiet")
    project.commit(f"embeddings {version}")
    tag = f"item-embeddings@{version}"
    project.run("git", "tag", "--annotate", tag, "--message", version)
    return tag
