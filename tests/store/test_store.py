"""The store: others read it with numpy and a Parquet reader, and no damage goes unnoticed."""

import re
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hierrec.core.errors import DataError, ParamsError, StoreError
from hierrec.core.files import read_json, sha256_file, write_json
from hierrec.reuse.diagnosis import diagnose
from hierrec.store.store import COMPARED, EmbeddingStore
from hierrec.store.store_files import text_hash
from hierrec.store.whitening import Whitening

from tests.store.stores import DESCRIPTION, make_store

IDS = ["1", "2", "10", "ä", "x y"]
VECTORS = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)


def write(folder: Path, vectors: np.ndarray = VECTORS, titles: str = "Film") -> Path:
    return make_store(folder, IDS, vectors, [f"{titles} {item_id}" for item_id in IDS], 3)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(tmp_path / "store")


def test_round_trip(folder: Path) -> None:
    store = EmbeddingStore.open(folder)
    assert np.array_equal(store.vectors, VECTORS)
    assert isinstance(store.vectors, np.memmap)
    assert not store.vectors.flags.writeable
    assert store.item_ids == IDS
    assert [store.row(item_id) for item_id in IDS] == [0, 1, 2, 3, 4]
    assert np.array_equal(store.whitened(), Whitening.fit(VECTORS, 3).apply(VECTORS))
    assert store.items["text"].to_list()[2] == "Film 10."
    assert diagnose(store.folder) == []
    with pytest.raises(DataError, match="no item '3'"):
        store.row("3")


def test_lookup_by_id(folder: Path) -> None:
    store = EmbeddingStore.open(str(folder))
    assert np.array_equal(store.vector("ä"), VECTORS[3])
    assert np.array_equal(store.vectors_of(["x y", "2", "x y"]), VECTORS[[4, 1, 4]])
    assert store.vectors_of([]).shape == (0, 4)
    with pytest.raises(ValueError, match="read-only"):
        store.vector("ä")[0] = 1
    for lookup in (store.vector, lambda item_id: store.vectors_of(["1", item_id])):
        with pytest.raises(DataError, match="no item '3'"):
            lookup("3")


def test_neighbours_are_the_nearest_by_cosine(folder: Path) -> None:
    store = EmbeddingStore.open(folder)
    unit = VECTORS.astype(np.float64) / np.linalg.norm(VECTORS.astype(np.float64), axis=1, keepdims=True)
    cosines = unit @ unit[2]
    expected = sorted({0, 1, 3, 4}, key=lambda row: -cosines[row])
    neighbours = store.neighbours("10", 3, raw=True)
    assert neighbours.columns == ["row", "item_id", "title", "cosine"]
    assert neighbours["row"].to_list() == expected[:3]
    assert neighbours["item_id"].to_list() == [IDS[row] for row in expected[:3]]
    assert np.allclose(neighbours["cosine"], cosines[expected[:3]], rtol=0, atol=1e-12)
    assert store.neighbours("10", 100, raw=True)["row"].to_list() == expected
    with pytest.raises(ParamsError, match="0 neighbours"):
        store.neighbours("10", 0)
    with pytest.raises(DataError, match="no item '3'"):
        store.neighbours("3", 1)


def test_neighbours_of_one_similarity_stand_by_row(tmp_path: Path) -> None:
    # more rows than are compared at a time, in two groups of equal vectors, and one vector of zeros
    count = COMPARED + 7
    pair = np.random.default_rng(1).normal(size=(2, 33)).astype(np.float32)
    vectors = pair[np.arange(count) % 2]
    vectors[5] = 0
    make_store(tmp_path / "store", [str(row) for row in range(count)], vectors)
    neighbours = EmbeddingStore.open(tmp_path / "store").neighbours("2", count, raw=True)
    even = list(range(0, count, 2))
    even.remove(2)
    odd = list(range(1, count, 2))
    odd.remove(5)
    signs = neighbours.group_by("cosine", maintain_order=True).agg("row")
    groups = [even, odd, [5]] if pair[0] @ pair[1] > 0 else [even, [5], odd]
    assert signs["row"].to_list() == groups
    assert EmbeddingStore.open(tmp_path / "store").neighbours("5", 3, raw=True)["row"].to_list() == [0, 1, 2]


def test_neighbours_hold_a_part_of_the_vectors_in_memory(tmp_path: Path) -> None:
    vectors = np.random.default_rng(0).normal(size=(40_000, 64)).astype(np.float32)
    make_store(tmp_path / "store", [str(row) for row in range(len(vectors))], vectors)
    store = EmbeddingStore.open(tmp_path / "store")
    tracemalloc.start()
    found = store.neighbours("7", 5)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2 * vectors.nbytes  # whitened as a whole, five times as much
    unit = store.whitened() / np.linalg.norm(store.whitened(), axis=1, keepdims=True)
    assert found["row"].to_list() == np.argsort(-(unit @ unit[7]))[1:6].tolist()


def test_manifest(folder: Path) -> None:
    manifest = read_json(folder / "manifest.json")
    assert manifest.items() >= DESCRIPTION.items()
    assert (manifest["schema_version"], manifest["template"]) == (1, "{title}.")
    assert (manifest["count"], manifest["dimension"], manifest["whitened_dimension"]) == (5, 4, 2)
    assert manifest["files"] == {
        path.name: sha256_file(path) for path in folder.iterdir() if path.name != "manifest.json"
    }


def test_without_this_package(folder: Path) -> None:
    vectors = np.load(folder / "embeddings.npy", mmap_mode="r")
    items = pq.read_table(folder / "items.parquet").to_pylist()
    export = pq.read_table(folder / "embeddings.parquet")
    assert export.schema.field("embedding").type == pa.list_(pa.float32(), 4)
    assert export["item_id"].to_pylist() == [item["item_id"] for item in items] == IDS
    assert np.array_equal(np.stack(export["embedding"].to_numpy()), vectors)
    assert [item["row"] for item in items] == [0, 1, 2, 3, 4]
    assert items[0]["text_hash"] == text_hash("Film 1.")


def test_equal_content_gives_equal_bytes_wherever_it_lies(folder: Path, tmp_path: Path) -> None:
    other = write(tmp_path / "elsewhere")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        path.name: path.read_bytes() for path in other.iterdir()
    }


def test_hash_follows_vectors_ids_and_whitening_but_not_titles(folder: Path, tmp_path: Path) -> None:
    original = EmbeddingStore.open(folder).hash
    assert EmbeddingStore.open(write(tmp_path / "titles", titles="Movie")).hash == original
    assert EmbeddingStore.open(write(tmp_path / "vectors", VECTORS + np.float32(0.5))).hash != original
    for name, ids, dimension in (("ids", IDS[::-1], 2), ("whitening", IDS, 1)):
        other = make_store(tmp_path / name, ids, VECTORS, dimension=dimension)
        assert EmbeddingStore.open(other).hash != original, name


def test_reading_needs_no_torch(folder: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from hierrec.store.store import EmbeddingStore\n"
        "from hierrec.reuse.diagnosis import diagnose\n"
        f"store = EmbeddingStore.open(Path({str(folder)!r})); store.whitened(); diagnose(store.folder)\n"
        "assert not {'torch', 'transformers', 'tqdm'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def damage(folder: Path, name: str, change: Any) -> None:
    """Change a file and record its new hash, so that only its content betrays it."""
    change(folder / name)
    manifest = read_json(folder / "manifest.json")
    manifest["files"][name] = sha256_file(folder / name)
    write_json(folder / "manifest.json", manifest)


def test_rewriting_replaces_the_whole_store(folder: Path) -> None:
    (folder / "stale").write_text("")
    write(folder, VECTORS * 2)
    assert not (folder / "stale").exists()
    assert np.array_equal(EmbeddingStore.open(folder).vectors, VECTORS * 2)


@pytest.mark.parametrize("name", ["embeddings.npy", "items.parquet", "embeddings.parquet", "whitening.safetensors"])
def test_one_flipped_bit_is_found(folder: Path, name: str) -> None:
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    assert re.search(rf"{name}: content has another hash(.|\n)*`dvc repro`", str(diagnose(folder)[0]))
    (folder / name).unlink()
    assert f"{name}: file is missing" in str(diagnose(folder)[0])


@pytest.mark.parametrize("name", ["embeddings.npy", "items.parquet", "whitening.safetensors"])
def test_opening_checks_hashes_at_once(folder: Path, name: str) -> None:
    content = bytearray((folder / name).read_bytes())
    content[-1] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(StoreError, match=f"{name}: content has another hash"):
        EmbeddingStore.open(folder)


def test_a_store_of_one_shard_reads_the_same(folder: Path, tmp_path: Path) -> None:
    titles = [f"Film {item_id}" for item_id in IDS]
    plain = EmbeddingStore.open(folder)
    sharded = EmbeddingStore.open(make_store(tmp_path / "shard", IDS, VECTORS, titles, 3, shard_rows=5))
    assert len(plain.shards) == len(sharded.shards) == 1
    assert plain.items.equals(sharded.items)
    assert np.array_equal(plain.vectors, sharded.vectors)
    assert plain.neighbours("x y", 4).equals(sharded.neighbours("x y", 4))


def replace_items(**columns: Any) -> Any:
    return lambda path: pl.read_parquet(path).with_columns(**columns).write_parquet(path)


def replace_vector(row: int, value: float) -> Any:
    def change(path: Path) -> None:
        vectors = np.load(path)
        vectors[row, 1] = value
        np.save(path, vectors)

    return change


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("embeddings.npy", lambda path: np.save(path, VECTORS[:4]), r"shape \(4, 4\), but .* \(5, 4\)"),
        ("embeddings.npy", lambda path: np.save(path, VECTORS.astype(np.float64)), "float64, not float32"),
        ("embeddings.npy", lambda path: path.write_bytes(b"x" * 200), "not a numpy array"),
        ("embeddings.npy", replace_vector(3, np.nan), "row 3: the vector is not finite"),
        ("embeddings.npy", replace_vector(2, 1), "embeddings.parquet, row 2"),
        ("items.parquet", lambda path: path.write_bytes(b"x" * 200), "not a table"),
        ("items.parquet", replace_items(row=pl.col("row").reverse()), "row 0: column row is not"),
        ("items.parquet", replace_items(item_id=pl.lit("1")), "row 1: the item id is there twice"),
        ("items.parquet", replace_items(item_id=pl.col("item_id").reverse()), "item ids are not those"),
        ("items.parquet", replace_items(row=pl.col("row").cast(pl.Int64)), "columns are"),
        ("items.parquet", replace_items(text=pl.lit("Film 1.")), "row 1: text_hash is not"),
        (
            "embeddings.parquet",
            replace_items(item_id=pl.col("item_id").reverse()),
            "embeddings.parquet, row 0: item_id is not",
        ),
        ("embeddings.parquet", replace_items(more=pl.lit(1)), "columns"),
        ("whitening.safetensors", lambda path: path.write_bytes(b"x" * 200), "not a whitening map"),
        ("whitening.safetensors", Whitening.fit(VECTORS, 1).save, r"shape \(4, 1\), but"),
    ],
)
def test_inconsistency_is_found(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, change: Any, message: str
) -> None:
    monkeypatch.setattr("hierrec.store.store_files.CHUNK", 3)  # vectors that are checked at a time
    damage(folder, name, change)
    assert re.search(message, str(diagnose(folder)[0]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"schema_version": 3},
            r"schema version 3; this program reads versions 1 and 2(.|\n)*`dvc repro`",
        ),
        ({"count": None}, "shape"),
        ({"ids_sha256": ""}, "item ids are not those"),
        ({"files": {}}, r"key files\.embeddings\.npy is missing"),
        ({"files": None}, r"key files\.embeddings\.npy is missing"),
        ({"model": {}}, r"key model\.id is missing"),
    ],
)
def test_wrong_manifests(folder: Path, change: dict[str, Any], message: str) -> None:
    path = folder / "manifest.json"
    write_json(path, {**read_json(path), **change})
    with pytest.raises(StoreError, match=message):
        EmbeddingStore.open(folder)


def test_no_manifest(folder: Path) -> None:
    for content in ("{", "[]", '{"schema_version": 1}'):
        (folder / "manifest.json").write_text(content)
        with pytest.raises(StoreError):
            EmbeddingStore.open(folder)
    (folder / "manifest.json").unlink()
    with pytest.raises(StoreError, match="missing"):
        EmbeddingStore.open(folder)
