"""The item index: true neighbours in a total order, and a refusal to serve other vectors."""

import threading
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar

import faiss
import numpy as np
import pytest
from hierrec.core.errors import IndexMismatchError, NumericalError
from hierrec.core.files import read_json, write_json
from hierrec.index.build import build_index
from hierrec.search import index as item_index
from hierrec.search.index import ItemIndex
from hierrec.search.vectors import matrix_products
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

Matrix = NDArray[np.float32]


def normal(count: int, width: int, seed: int = 0) -> Matrix:
    return np.random.default_rng(seed).normal(size=(count, width)).astype(np.float32)


def brute_force(vectors: Matrix, queries: Matrix, k: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    def unit(matrix: Matrix) -> NDArray[np.float64]:
        norm = np.linalg.norm(matrix.astype(np.float64), axis=1, keepdims=True)
        return matrix / np.where(norm > 0, norm, 1)

    cosine = unit(queries) @ unit(vectors).T
    order = np.lexsort((np.broadcast_to(np.arange(len(vectors)), cosine.shape), -cosine.round(9)), axis=-1)
    return np.take_along_axis(cosine, order, 1)[:, :k], order[:, :k]


@given(
    # Few distinct vectors, zeros among them: ties inside the first k and across its border.
    st.lists(st.tuples(*[st.integers(-1, 1)] * 3), min_size=1, max_size=120),
    st.integers(1, 130),
)
def test_ties_go_by_row(values: list[tuple[int, int, int]], k: int) -> None:
    vectors = np.array(values, np.float32)
    similarities, rows = ItemIndex.build(vectors).search(vectors, k)
    expected_similarities, expected_rows = brute_force(vectors, vectors, k)
    np.testing.assert_array_equal(rows, expected_rows)
    np.testing.assert_allclose(similarities, expected_similarities, atol=1e-6)


@pytest.mark.parametrize("gathered", [item_index.GATHER, 5000])
def test_equals_brute_force(monkeypatch: pytest.MonkeyPatch, gathered: int) -> None:
    monkeypatch.setattr(item_index, "GATHER", gathered)
    vectors, queries = normal(700, 24), 5 * normal(90, 24, seed=1)
    similarities, rows = ItemIndex.build(vectors).search(queries, 20)
    expected_similarities, expected_rows = brute_force(vectors, queries, 20)
    assert (similarities.dtype, rows.dtype) == (np.float32, np.int64)
    np.testing.assert_array_equal(rows, expected_rows)
    np.testing.assert_allclose(similarities, expected_similarities, atol=1e-6)


@pytest.mark.parametrize("queries", [3, 40])  # FAISS searches few and many in different ways
@pytest.mark.parametrize("width", [5, 129])
def test_a_tie_of_many_goes_by_row(width: int, queries: int) -> None:
    vectors = np.tile(normal(2, width), (1500, 1))  # two vectors, taking turns
    _, rows = ItemIndex.build(vectors).search(np.tile(vectors[:2], (queries, 1)), 10)
    np.testing.assert_array_equal(rows[0::2], np.tile(np.arange(0, 20, 2), (queries, 1)))
    np.testing.assert_array_equal(rows[1::2], np.tile(np.arange(1, 20, 2), (queries, 1)))


@pytest.mark.parametrize("width", [7, 64, 129])
def test_the_batch_changes_no_bit(width: int) -> None:
    # FAISS itself sums in another order for batches of 20 queries and more.
    vectors = np.repeat(normal(150, width), 3, axis=0)
    queries = normal(50, width, seed=1)
    index = ItemIndex.build(vectors)
    similarities, rows = index.search(queries, 10)
    for size in (1, 3, 19, 33):
        for start in range(0, len(queries), size):
            part = slice(start, start + size)
            some_similarities, some_rows = index.search(queries[part], 10)
            assert np.array_equal(some_rows, rows[part])
            assert np.array_equal(some_similarities, similarities[part])


def test_fewer_neighbours_are_the_first_of_more() -> None:
    # Vectors closer together than the precision of float32 sums: FAISS cuts them in a wrong order.
    rng = np.random.default_rng(0)
    vectors = (normal(1, 64) + 1e-7 * rng.normal(size=(2000, 64))).astype(np.float32)
    queries = normal(30, 64, seed=1)
    index = ItemIndex.build(vectors)
    similarities, rows = index.search(queries, len(vectors))
    for k in (1, 10, 50):
        assert np.array_equal(index.search(queries, k)[1], rows[:, :k])
        assert np.array_equal(index.search(queries, k)[0], similarities[:, :k])


def test_no_more_than_there_are() -> None:
    similarities, rows = ItemIndex.build(normal(3, 4)).search(normal(2, 4, seed=1), 10)
    assert similarities.shape == rows.shape == (2, 3)


def test_not_finite() -> None:
    vectors = normal(10, 4)
    index = ItemIndex.build(vectors)
    vectors[3, 2] = np.inf
    with pytest.raises(NumericalError, match="row 3"):
        ItemIndex.build(vectors)
    with pytest.raises(NumericalError):
        index.search(vectors, 2)


def test_queries_of_another_width() -> None:
    with pytest.raises(IndexMismatchError, match="width 4"):
        ItemIndex.build(normal(10, 4)).search(normal(1, 5), 2)


def test_another_store_is_refused(tmp_path: Path) -> None:
    build_index(normal(10, 4), tmp_path / "index", "old")
    with pytest.raises(IndexMismatchError, match=r"store old, not new(.|\n)*`dvc repro`"):
        ItemIndex.open(tmp_path / "index", "new")


def test_damage_is_found(tmp_path: Path) -> None:
    folder = tmp_path / "index"
    with pytest.raises(IndexMismatchError, match="missing"):
        ItemIndex.open(folder, "s")
    build_index(normal(10, 4), folder, "s")
    manifest, path = read_json(folder / "manifest.json"), folder / "index.faiss"

    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(IndexMismatchError, match="another hash"):
        ItemIndex.open(folder, "s")
    path.write_bytes(content)

    for key, value, message in [
        ("schema_version", 1, "schema version 1"),
        ("count", 11, "10 vectors of width 4"),
        ("files", {}, "another hash"),
        ("kind", "tree", "kind 'tree'"),
    ]:
        write_json(folder / "manifest.json", {**manifest, key: value})
        with pytest.raises(IndexMismatchError, match=message):
            ItemIndex.open(folder, "s")
    write_json(folder / "manifest.json", {"schema_version": 2})
    with pytest.raises(IndexMismatchError, match="key count is missing"):
        ItemIndex.open(folder, "s")
    write_json(folder / "manifest.json", manifest)
    path.unlink()
    with pytest.raises(IndexMismatchError, match="missing"):
        ItemIndex.open(folder, "s")


def test_many_equal_vectors_take_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(item_index, "GATHER", 2**18)
    monkeypatch.setattr(item_index, "FOUND", 2**16)
    vectors = normal(3000, 8)
    vectors[::2] = vectors[0]  # a blank column's text, 1,500 times
    index = ItemIndex.build(vectors)
    tracemalloc.start()
    _, rows = index.search(vectors, 5)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert rows[::2].tolist() == [[0, 2, 4, 6, 8]] * 1500
    assert peak < 16 * 2**20  # all tied queries at their widest: 1,500 rows of 1,536, 12 bytes each, and their vectors


def test_queries_in_blocks_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = np.round(normal(400, 3), 1)
    whole = ItemIndex.build(vectors).search(vectors, 10)
    monkeypatch.setattr(item_index, "FOUND", 100)
    for one, other in zip(whole, ItemIndex.build(vectors).search(vectors, 10), strict=True):
        np.testing.assert_array_equal(one, other)


def test_threads_that_search_put_the_setting_of_faiss_back() -> None:
    before = faiss.cvar.distance_compute_blas_threshold
    entered, leave = threading.Event(), threading.Event()

    def search() -> None:
        with matrix_products(7):
            entered.set()
            leave.wait(10)

    thread = threading.Thread(target=search)
    with matrix_products(5):
        thread.start()
        assert entered.wait(10)
    assert faiss.cvar.distance_compute_blas_threshold != before  # the other thread runs
    leave.set()
    thread.join()
    assert faiss.cvar.distance_compute_blas_threshold == before


class Widths(faiss.IndexFlatIP):
    """An exact index that remembers how many neighbours it was asked for."""

    asked: ClassVar[list[int]] = []

    def search(self, *arguments: Any, **named: Any) -> Any:
        """Search; record the second argument, the number of neighbours."""
        self.asked.append(arguments[1])
        return super().search(*arguments, **named)


def test_other_vectors_near_many_equal_ones_do_not_widen_the_search() -> None:
    centre = normal(1, 128)
    vectors = centre + 0.1 * normal(3000, 128, seed=1)
    vectors[::2] = centre  # nearer to every other vector than these are to each other
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    index = ItemIndex(Widths(128))
    index.index.add(vectors)  # pyright: ignore[reportCallIssue]
    similarities, rows = index.search(vectors[1::2], 5)
    expected_similarities, _ = brute_force(vectors, vectors[1::2], 5)
    np.testing.assert_allclose(similarities, expected_similarities, atol=1e-6)
    assert rows[:, 1:].tolist() == [[0, 2, 4, 6]] * 1500  # after the vector itself
    assert Widths.asked == [5 + 16]
    again, found = index.search(vectors[1:2], 7)  # then another k
    assert found.tolist() == [[1, 0, 2, 4, 6, 8, 10]]
    assert np.array_equal(again[:, :5], similarities[:1])


def test_no_query_has_no_neighbours() -> None:
    similarities, rows = ItemIndex.build(normal(10, 4)).search(np.empty((0, 4), np.float32), 3)
    assert similarities.shape == rows.shape == (0, 3)


def test_many_threads_search_as_one_and_put_the_setting_of_faiss_back() -> None:
    before = faiss.cvar.distance_compute_blas_threshold
    indices = [ItemIndex.build(normal(400, width)) for width in (4, 16, 64)]
    tasks = [(index, normal(40, index.index.d, seed)) for seed in range(20) for index in indices]
    expected = [index.search(queries, 5) for index, queries in tasks]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda task: task[0].search(task[1], 5), tasks))
    assert faiss.cvar.distance_compute_blas_threshold == before
    for one, other in zip(found, expected, strict=True):
        assert np.array_equal(one[0], other[0])
        assert np.array_equal(one[1], other[1])
