"""Every export holds the store's ids and vectors, whatever characters the ids have."""

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hierrec.core.errors import DataError
from hierrec.reuse.export import WRITERS, export, token
from hierrec.store.store import EmbeddingStore
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from tests.store.stores import make_store

Content = tuple[list[str], NDArray[Any]]

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
id_lists = st.lists(texts.filter(bool), min_size=1, max_size=6, unique=True)
numbers = st.floats(-(2.0**100), 2.0**100, width=32)


def read_parquet(path: Path) -> Content:
    table = pl.read_parquet(path)
    return table["item_id"].to_list(), table["embedding"].to_numpy()


def read_npy(folder: Path) -> Content:
    return json.loads((folder / "ids.json").read_text("utf-8")), np.load(folder / "embeddings.npy")


def read_arrow(folder: Path) -> Content:
    state = json.loads((folder / "state.json").read_text("utf-8"))
    (name,) = [file["filename"] for file in state["_data_files"]]
    table = pa.ipc.open_stream((folder / name).read_bytes()).read_all()
    return table["item_id"].to_pylist(), np.array(table["embedding"].to_pylist(), np.float32)


def read_word2vec(path: Path) -> Content:
    """Read as the original program does: tokens divided by any white space."""
    first, *lines = path.read_text("utf-8").split("\n")[:-1]
    rows = [line.split() for line in lines]
    assert [len(rows), len(rows[0]) - 1] == [int(number) for number in first.split()]
    return [unquote(row[0]) for row in rows], np.array([row[1:] for row in rows], np.float32)


def read_projector(folder: Path) -> Content:
    header, *lines = (folder / "metadata.tsv").read_text("utf-8").split("\n")[:-1]
    assert header.split("\t") == ["item_id", "title"]
    rows = [line.split("\t") for line in lines]
    assert {len(row) for row in rows} == {2}
    assert all(cell.strip() for row in rows for cell in row)
    return [unquote(row[0]) for row in rows], np.loadtxt(folder / "tensors.tsv", np.float32, ndmin=2)


READERS: dict[str, Callable[[Path], Content]] = {
    "parquet": read_parquet,
    "npy": read_npy,
    "datasets": read_arrow,
    "word2vec": read_word2vec,
    "projector": read_projector,
}


def check(ids: list[str], titles: list[str], vectors: NDArray[np.float32], readers: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = EmbeddingStore.open(make_store(Path(folder) / "store", ids, vectors, titles))
        for form, read in readers.items():
            out = Path(folder) / form
            for whitened, expected in ((False, store.vectors), (True, store.whitened())):
                export(store, form, out, whitened)
                found, numbers = read(out)
                assert found == ids, form
                assert np.array_equal(numbers, expected), form


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(ids=id_lists, data=st.data())
@example(ids=["a b", "a%20b", "%", "\t", "\n", "\0", "\u2028", "\ufeff", "\u3000x", "</s>", "ä"], data=None)
def test_round_trip(ids: list[str], data: st.DataObject | None) -> None:
    titles = data.draw(st.lists(texts, min_size=len(ids), max_size=len(ids))) if data else ids
    if data:
        vectors = data.draw(arrays(np.float32, (len(ids), 3), elements=numbers))
    else:
        vectors = np.random.default_rng(0).normal(size=(len(ids), 3)).astype(np.float32)
    check(ids, titles, vectors, READERS)


@settings(max_examples=10, suppress_health_check=[HealthCheck.too_slow])
@given(ids=id_lists)
@example(ids=["a b", "a%20b", "%", "\t", "\n", "\0", "\u2028", "\ufeff", "\u3000x", "</s>", "ä"])
def test_the_libraries_themselves_read_it(ids: list[str]) -> None:
    gensim = pytest.importorskip("gensim.models", reason="needs gensim")
    datasets = pytest.importorskip("datasets", reason="needs datasets")

    def read_by_gensim(path: Path) -> Content:
        loaded = gensim.KeyedVectors.load_word2vec_format(str(path))
        return [unquote(key) for key in loaded.index_to_key], loaded.vectors

    def read_by_datasets(folder: Path) -> Content:
        loaded = datasets.load_from_disk(str(folder))
        assert loaded.column_names == ["item_id", "title", "embedding"]
        rows = loaded.with_format("numpy")[:]
        return loaded["item_id"][:], rows["embedding"]

    vectors = np.random.default_rng(1).normal(size=(len(ids), 5)).astype(np.float32)
    check(ids, ids, vectors, {"word2vec": read_by_gensim, "datasets": read_by_datasets})


@given(first=texts.filter(bool), second=texts.filter(bool))
def test_tokens_are_one_word_and_go_back(first: str, second: str) -> None:
    assert unquote(token(first)) == first
    assert token(first).split() == [token(first)]
    assert (token(first) == token(second)) == (first == second)


def test_what_is_safe_stays() -> None:
    assert [token(item_id) for item_id in ("42", "tt0113277", "Ödön/ü", "a b%")] == [
        "42",
        "tt0113277",
        "Ödön/ü",
        "a%20b%25",
    ]


@pytest.mark.parametrize("form", WRITERS)
def test_equal_stores_give_equal_bytes_and_failures_leave_nothing(form: str, tmp_path: Path) -> None:
    vectors = np.random.default_rng(2).normal(size=(2, 3)).astype(np.float32)
    contents = []
    for number in range(2):
        store = EmbeddingStore.open(make_store(tmp_path / f"store{number}", ["a", "b"], vectors))
        out = tmp_path / f"out{number}"
        export(store, form, out, False)
        files = sorted(out.iterdir()) if out.is_dir() else [out]
        contents.append([(file.name if out.is_dir() else "", file.read_bytes()) for file in files])
    assert contents[0] == contents[1]
    nameless = EmbeddingStore.open(make_store(tmp_path / "nameless", ["", "b"], vectors))
    if form in ("word2vec", "projector"):
        with pytest.raises(DataError, match="empty text"):
            export(nameless, form, tmp_path / "out", False)
        assert not (tmp_path / "out").exists()
        assert not list(tmp_path.glob(".*"))
    else:
        export(nameless, form, tmp_path / "out", False)
        assert READERS[form](tmp_path / "out")[0] == ["", "b"]
