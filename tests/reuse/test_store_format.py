"""docs/store-format.md, line by line, by nothing but hashlib, json, numpy and a Parquet reader."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest
from hierrec.encode.encode_items import encode_items
from hierrec.encode.params import EncodeParams
from hierrec.store.store import EmbeddingStore
from hierrec.store.store_files import KEYS, MODEL_KEYS, SCHEMA_VERSION, SHARDED_VERSION
from safetensors.numpy import load_file

from tests.reuse.publisher import ITEMS
from tests.stages.imports import ROOT
from tests.store.stores import make_store

SPECIFICATION = (ROOT / "docs" / "store-format.md").read_text("utf-8")
FILES = ["embeddings.npy", "embeddings.parquet", "items.parquet", "whitening.safetensors"]


def sha256_of_json(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stores") / "item_embeddings"
    params = EncodeParams(
        model="t5-nano",
        revision=None,
        template="{title} ({year})",
        max_length=64,
        batch_tokens=512,
        whitening_dimension=3,
    )
    encode_items(ITEMS, params, folder)
    return folder


@pytest.fixture(scope="module")
def manifest(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "manifest.json").read_text("utf-8"))


def test_the_specification_names_every_file_key_and_column(folder: Path, manifest: dict[str, Any]) -> None:
    columns = pl.read_parquet(folder / "items.parquet").columns
    for name in [*FILES, "manifest.json", *KEYS, *MODEL_KEYS, *columns, "embedding", "mean", "projection"]:
        assert f"`{name}`" in SPECIFICATION, name
    assert set(manifest) == {"schema_version", *KEYS}
    assert set(manifest["model"]) == set(MODEL_KEYS)
    assert sorted(path.name for path in folder.iterdir()) == sorted([*FILES, "manifest.json"])
    assert f"schema version {SCHEMA_VERSION}" in SPECIFICATION


def test_the_specification_names_every_file_and_key_of_a_store_in_shards(tmp_path: Path) -> None:
    vectors = np.random.default_rng(0).normal(size=(3, 2)).astype(np.float32)
    folder = make_store(tmp_path / "store", ["a", "b", "c"], vectors, shard_rows=3)
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    assert set(manifest) == {"schema_version", "shards", *KEYS}
    assert set(manifest["files"]) == {path.name for path in folder.iterdir()} - {"manifest.json"}
    for name in [*manifest["files"], "shards"]:
        assert f"`{name}`" in SPECIFICATION, name
    assert f"schema version {SHARDED_VERSION}" in SPECIFICATION
    vector_hashes = [manifest["files"]["embeddings-00000.npy"]]
    store_hash = [vector_hashes, manifest["ids_sha256"], manifest["files"]["whitening.safetensors"]]
    assert EmbeddingStore.open(folder).hash == sha256_of_json(store_hash)
    expected = sorted((hashlib.sha256(name.encode()).digest()[:8], row) for row, name in enumerate("abc"))
    assert np.load(folder / "id_hashes.npy").tolist() == [int.from_bytes(digest) for digest, _ in expected]
    assert np.load(folder / "id_rows.npy").tolist() == [row for _, row in expected]


def test_files_types_and_shapes(folder: Path, manifest: dict[str, Any]) -> None:
    n, d, w = manifest["count"], manifest["dimension"], manifest["whitened_dimension"]
    assert (folder / "embeddings.npy").read_bytes()[:8] == b"\x93NUMPY\x01\x00"
    vectors = np.load(folder / "embeddings.npy")
    assert (vectors.dtype.str, vectors.shape) == ("<f4", (n, d))
    assert vectors.flags.c_contiguous
    assert np.isfinite(vectors).all()
    tensors = load_file(folder / "whitening.safetensors")
    assert {name: (str(x.dtype), x.shape) for name, x in tensors.items()} == {
        "mean": ("float32", (d,)),
        "projection": ("float32", (d, w)),
    }
    assert str(pq.read_schema(folder / "embeddings.parquet").field("embedding").type).startswith("fixed_size_list<")
    export = pl.read_parquet(folder / "embeddings.parquet")
    items = pl.read_parquet(folder / "items.parquet")
    assert export["item_id"].to_list() == items["item_id"].to_list() == ITEMS["item_id"].to_list()
    assert np.array_equal(export["embedding"].to_numpy(), vectors)
    assert items["row"].to_list() == list(range(n))


def test_hashes(folder: Path, manifest: dict[str, Any]) -> None:
    items = pl.read_parquet(folder / "items.parquet")
    hashes = [hashlib.sha256(text.encode("utf-8")).hexdigest() for text in items["text"]]
    assert items["text_hash"].to_list() == hashes
    assert manifest["ids_sha256"] == sha256_of_json(items["item_id"].to_list())
    assert manifest["files"] == {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in FILES}
    files = manifest["files"]
    store_hash = [files["embeddings.npy"], manifest["ids_sha256"], files["whitening.safetensors"]]
    assert EmbeddingStore.open(folder).hash == sha256_of_json(store_hash)


def test_whitened_vectors(folder: Path) -> None:
    tensors = load_file(folder / "whitening.safetensors")
    vectors = np.load(folder / "embeddings.npy").astype(np.float64)
    whitened = (vectors - tensors["mean"].astype(np.float64)) @ tensors["projection"].astype(np.float64)
    assert np.allclose(EmbeddingStore.open(folder).whitened(), whitened, atol=1e-6)
    assert np.allclose(np.cov(whitened.T, ddof=1), np.eye(whitened.shape[1]), atol=1e-3)
