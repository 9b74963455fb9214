"""Another project takes the embeddings from git and a DVC remote, in every way that the README names."""

from collections.abc import Callable
from pathlib import Path

import polars as pl
from hierrec.reuse.diagnosis import diagnose
from hierrec.store.store import EmbeddingStore

from tests.reuse.conftest import Published
from tests.reuse.publisher import ITEMS, STORE
from tests.stages.project import Project

VersionIn = Callable[[Path, Published], int]


def test_get_the_latest_and_by_tag(published: Published, other: Project, version_in: VersionIn) -> None:
    other.run("dvc", "get", published.url, STORE)
    other.run("dvc", "get", published.url, STORE, "--rev", published.tags[0], "--out", "old")
    assert version_in(other.folder / "item_embeddings", published) == 2
    assert version_in(other.folder / "old", published) == 1
    store = EmbeddingStore.open(other.folder / "old")
    assert diagnose(store.folder) == []
    assert store.item_ids == ITEMS["item_id"].to_list()


def test_an_import_stays_until_it_is_updated(published: Published, importer: Project, version_in: VersionIn) -> None:
    folder = importer.folder / "item_embeddings"
    assert version_in(folder, published) == 1
    assert "update available" in importer.run("dvc", "status")
    importer.run("dvc", "update", "item_embeddings.dvc")
    assert version_in(folder, published) == 2
    importer.run("dvc", "update", "item_embeddings.dvc", "--rev", published.tags[0])
    assert version_in(folder, published) == 1


def test_an_imported_tag_stays(published: Published, other: Project, version_in: VersionIn) -> None:
    other.run("dvc", "import", published.url, STORE, "--rev", published.tags[0])
    other.run("dvc", "update", "item_embeddings.dvc")
    assert version_in(other.folder / "item_embeddings", published) == 1


def test_artifacts_get_takes_it_by_name(published: Published, other: Project, version_in: VersionIn) -> None:
    other.run("dvc", "artifacts", "get", published.url, "item-embeddings", "--out", "new")
    other.run("dvc", "artifacts", "get", published.url, "item-embeddings", "--rev", "v1.0.0", "--out", "old")
    assert version_in(other.folder / "new", published) == 2
    assert version_in(other.folder / "old", published) == 1


def test_api_open_reads_a_file_of_a_revision(published: Published, other: Project) -> None:
    script = f"""
import dvc.api
import polars as pl
for rev in {published.tags!r}:
    with dvc.api.open("{STORE}/items.parquet", repo={published.url!r}, rev=rev, mode="rb") as file:
        pl.read_parquet(file).select("text").write_csv(rev + ".csv")
"""
    other.run("python", "-c", script)
    texts = [pl.read_csv(other.folder / f"{tag}.csv")["text"].to_list() for tag in published.tags]
    assert [text[0] for text in texts] == ["Heat", "Heat (1995). Genres: Crime."]
