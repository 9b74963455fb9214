"""Stages and commands treat a store in shards like a store in one file."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner
from hierrec.cli import main as command
from hierrec.core.errors import StoreError
from hierrec.encode.store_writer import write_store
from hierrec.index.params import IndexParams
from hierrec.model.inputs import open_store
from hierrec.store.store import EmbeddingStore

from stages.index import main as index
from tests.store.stores import make_store

IDS = [str(row) for row in range(40)]
VECTORS = np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32)
INDEX = IndexParams(kind="auto", exact_up_to=100, recall=0.9)


def test_the_index_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    contents = []
    for shard_rows in (None, 7):
        project = tmp_path / str(shard_rows)
        make_store(project / "artifacts" / "item_embeddings", IDS, VECTORS, dimension=4, shard_rows=shard_rows)
        monkeypatch.chdir(project)
        assert "40 items" in index.function(index=INDEX)[0]
        contents.append((project / "artifacts" / "index" / "index.faiss").read_bytes())
    assert contents[0] == contents[1]


def test_a_vector_that_is_not_finite_stops_the_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make_store(tmp_path / "artifacts" / "item_embeddings", IDS, VECTORS, shard_rows=7)
    vectors = VECTORS.copy()
    vectors[9, 1] = np.nan
    whitening = EmbeddingStore.open(folder).whitening
    items = pl.DataFrame({"item_id": IDS, "title": IDS})
    description = {
        key: EmbeddingStore.open(folder).manifest[key] for key in ("model", "pooling", "max_length", "dtype")
    }
    write_store(folder, items, IDS, vectors, whitening, "{title}", description, 7)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StoreError, match=r"embeddings-00001\.npy, row 2: the vector is not finite"):
        index.function(index=INDEX)


def test_the_recommender_reads_it(tmp_path: Path) -> None:
    plain, sharded = (
        make_store(tmp_path / str(rows), IDS, VECTORS, dimension=4, shard_rows=rows) for rows in (None, 7)
    )
    items = pl.DataFrame({"item_id": IDS})
    assert np.array_equal(open_store(sharded, items).whitened(), open_store(plain, items).whitened())
    with pytest.raises(StoreError, match="holds other items than the data"):
        open_store(sharded, items.reverse())


def test_commands(tmp_path: Path) -> None:
    pl.DataFrame({"item_id": ["a", "b", "c"], "title": ["Heat", "M", "Alien"]}).write_csv(tmp_path / "items.csv")

    def run(*words: str) -> str:
        done = CliRunner().invoke(command, ["embeddings", *words], catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.output

    store = str(tmp_path / "store")
    encode = ["encode", "--items", str(tmp_path / "items.csv"), "--out", store, "--shard-rows", "2"]
    assert "3 items" in run(*encode)
    run(*encode)  # a store, and nothing else, is replaced
    assert sorted(path.name for path in Path(store).glob("*.npy"))[:2] == [
        "embeddings-00000.npy",
        "embeddings-00001.npy",
    ]
    assert run("verify", store).startswith("OK: 3 items")
    assert run("neighbours", store, "a", "-k", "2").count("\n") == 2
    assert "3 vectors" in run("export", store, "--format", "parquet", "--out", str(tmp_path / "v.parquet"))
    assert pl.read_parquet(tmp_path / "v.parquet")["item_id"].to_list() == ["a", "b", "c"]
