"""A store in shards: the same items and vectors as in one file, found by id, and no damage goes unnoticed."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hierrec.core.errors import DataError, StoreError
from hierrec.core.files import read_json, sha256_file, write_json
from hierrec.reuse.diagnosis import diagnose
from hierrec.reuse.export import WRITERS, export
from hierrec.store import shards
from hierrec.store.store import EmbeddingStore
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.store.stores import make_store

IDS = ["1", "2", "10", "ä", "x y", "", "7"]
VECTORS = np.random.default_rng(0).normal(size=(7, 4)).astype(np.float32)
SHARDS = [3, 3, 1]


@pytest.fixture
def plain(tmp_path: Path) -> EmbeddingStore:
    return EmbeddingStore.open(make_store(tmp_path / "plain", IDS, VECTORS, dimension=3))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_store(tmp_path / "store", IDS, VECTORS, dimension=3, shard_rows=3)


def test_it_holds_what_the_plain_one_holds(plain: EmbeddingStore, folder: Path) -> None:
    store = EmbeddingStore.open(folder)
    assert store.manifest["shards"] == SHARDS
    assert np.array_equal(store.vectors, VECTORS)
    assert np.array_equal(np.stack(list(store.vectors)), VECTORS)
    assert store.items.equals(plain.items)
    assert store.item_ids == IDS
    assert [store.row(item_id) for item_id in IDS] == list(range(7))
    assert np.array_equal(store.whitened(), plain.whitened())
    assert np.array_equal(store.vectors_of(["7", "2", "7"]), VECTORS[[6, 1, 6]])
    assert store.vectors_of([]).shape == (0, 4)
    assert store.neighbours("10", 5).equals(plain.neighbours("10", 5))
    assert diagnose(store.folder) == []
    with pytest.raises(DataError, match="no item '3'"):
        store.row("3")
    with pytest.raises(ValueError, match="read-only"):
        store.vector("ä")[0] = 1


@settings(deadline=None)
@given(
    count=st.integers(1, 20),
    shard_rows=st.integers(1, 25),
    data=st.data(),
)
def test_any_rows_are_those_of_the_matrix(
    count: int, shard_rows: int, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    vectors = np.random.default_rng(count).normal(size=(count, 2)).astype(np.float32)
    ids = [str(row) for row in range(count)]
    folder = make_store(tmp_path_factory.mktemp("stores") / "s", ids, vectors, shard_rows=shard_rows)
    found = EmbeddingStore.open(folder).vectors
    part = data.draw(st.slices(count))
    assert np.array_equal(found[part], vectors[part])
    rows = data.draw(st.lists(st.integers(-count, count - 1), max_size=8))
    assert np.array_equal(found[rows], vectors[np.array(rows, np.int64)])
    for row in rows:
        assert np.array_equal(found[row], vectors[row])
    for outside in (count, -count - 1):
        with pytest.raises(IndexError):
            found[outside]


def test_ids_of_one_hash_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards.hashlib, "sha256", OneHash)
    folder = tmp_path / "index"
    folder.mkdir()
    shards.IdIndex.of(IDS).write(folder)
    assert list(shards.IdIndex.map(folder, {"count": 7}).find("anything")) == list(range(7))


class OneHash:
    """A constant hash."""

    def __init__(self, _: bytes) -> None:
        pass

    def digest(self) -> bytes:
        return bytes(32)


def test_a_lookup_reads_no_other_shard(folder: Path) -> None:
    for name in ("embeddings-00000.npy", "items-00000.arrow"):
        spoil(folder / name)
    store = EmbeddingStore.open(folder)
    assert np.array_equal(store.vector("7"), VECTORS[6])
    with pytest.raises(StoreError, match=r"items-00000\.arrow: content has another hash"):
        store.vector("1")


def test_exports_are_those_of_the_plain_store(tmp_path: Path) -> None:
    ids = ["a", *IDS[1:5], "b", "c"]  # the text formats take no empty id
    stores = [
        EmbeddingStore.open(make_store(tmp_path / str(rows), ids, VECTORS, shard_rows=rows)) for rows in (None, 2)
    ]
    for form, (_, is_folder) in WRITERS.items():
        first, second = (tmp_path / f"{form}{number}" for number in range(2))
        for store, out in zip(stores, (first, second), strict=True):
            export(store, form, out, whitened=False)
        names = [path.name for path in first.iterdir()] if is_folder else [""]
        for name in names:
            if name != "state.json":  # holds a fingerprint of the store
                assert (first / name).read_bytes() == (second / name).read_bytes(), (form, name)


def test_equal_content_gives_equal_bytes(folder: Path, tmp_path: Path) -> None:
    other = make_store(tmp_path / "other", IDS, VECTORS, dimension=3, shard_rows=3)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        path.name: path.read_bytes() for path in other.iterdir()
    }


def test_without_this_package(folder: Path) -> None:
    items = pl.concat([pl.read_ipc(path) for path in sorted(folder.glob("items-*.arrow"))])
    assert items["item_id"].to_list() == IDS
    vectors = np.concatenate([np.load(path) for path in sorted(folder.glob("embeddings-*.npy"))])
    assert np.array_equal(vectors, VECTORS)
    hashes, rows = np.load(folder / "id_hashes.npy"), np.load(folder / "id_rows.npy")
    assert (np.diff(hashes) >= 0).all()
    assert sorted(rows.tolist()) == list(range(7))


FILES = ["embeddings-00001.npy", "items-00001.arrow", "id_hashes.npy", "id_rows.npy", "whitening.safetensors"]


def spoil(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def use(folder: Path) -> None:
    store = EmbeddingStore.open(folder)
    store.vectors_of(store.item_ids)


@pytest.mark.parametrize("name", FILES)
def test_one_flipped_bit_is_found(folder: Path, name: str) -> None:
    spoil(folder / name)
    with pytest.raises(StoreError, match=rf"{name}: content has another hash(.|\n)*`dvc repro`"):
        use(folder)
    assert any(f"{name}: content has another hash" in str(problem) for problem in diagnose(folder))
    (folder / name).unlink()
    with pytest.raises(StoreError, match=f"{name}: file is missing"):
        EmbeddingStore.open(folder)
    assert any(f"{name}: file is missing" in str(problem) for problem in diagnose(folder))


def change_vector(path: Path) -> None:
    vectors = np.load(path)
    vectors[1, 2] = np.nan
    np.save(path, vectors)


def change_items(**columns: Any) -> Any:
    def change(path: Path) -> None:
        table = pa.ipc.open_file(path.read_bytes()).read_all()
        changed = pl.DataFrame(table).with_columns(**columns).to_arrow(compat_level=pl.CompatLevel.oldest())
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, changed.schema) as stream:
            stream.write_table(changed.combine_chunks())

    return change


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("embeddings-00001.npy", change_vector, "embeddings-00001.npy, row 1: the vector is not finite"),
        ("embeddings-00001.npy", lambda path: np.save(path, VECTORS[:2]), r"shape \(2, 4\), but .* \(3, 4\)"),
        ("embeddings-00001.npy", lambda path: np.save(path, VECTORS[:3, :3]), r"shape \(3, 3\), but"),
        ("items-00001.arrow", lambda path: path.write_bytes(b"x" * 200), "not a table"),
        ("items-00001.arrow", change_items(row=pl.lit(3, pl.Int32)), "items-00001.arrow, row 1: column row"),
        ("items-00001.arrow", change_items(item_id=pl.lit("1")), "row 3: the item id is there twice"),
        ("items-00001.arrow", change_items(item_id=pl.col("item_id").reverse()), "item ids are not those"),
        ("items-00001.arrow", change_items(text=pl.lit("x")), "items-00001.arrow, row 0: text_hash is not"),
        ("items-00001.arrow", change_items(more=pl.lit(1)), "columns are"),
        ("id_rows.npy", lambda path: np.save(path, np.load(path)[::-1]), "not the index of the item ids"),
        ("id_hashes.npy", lambda path: np.save(path, np.load(path)[:4]), "says 7 items"),
    ],
)
def test_inconsistency_is_found(folder: Path, name: str, change: Any, message: str) -> None:
    change(folder / name)
    manifest = read_json(folder / "manifest.json")
    manifest["files"][name] = sha256_file(folder / name)
    write_json(folder / "manifest.json", manifest)
    assert re.search(message, str(diagnose(folder)[0]))


@pytest.mark.parametrize(
    "shards", [None, [], [7], [3, 3, 2], [3, 4], [3, 3, True], [3, 3, 1.0], [4, 3, 0], "331", [10, -3]]
)
def test_wrong_shards(folder: Path, shards: Any) -> None:
    path = folder / "manifest.json"
    write_json(path, {**read_json(path), "shards": shards})
    with pytest.raises(StoreError):
        EmbeddingStore.open(folder)
    assert diagnose(folder)


@settings(deadline=None, max_examples=60)
@given(name=st.sampled_from(FILES[:4]), place=st.floats(0, 1, exclude_max=True), new=st.binary(max_size=4))
def test_no_bytes_crash_a_reader(name: str, place: float, new: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = make_store(tmp_path_factory.mktemp("stores") / "store", IDS, VECTORS, shard_rows=3)
    content = (folder / name).read_bytes()
    at = int(place * len(content))
    (folder / name).write_bytes(content[:at] + new + content[at + len(new) :])
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    manifest["files"][name] = sha256_file(folder / name)
    write_json(folder / "manifest.json", manifest)
    for problem in diagnose(folder):
        assert isinstance(problem, StoreError)
    try:
        use(folder)
    except (StoreError, DataError):
        return
