"""Kinds of index: chosen by size, tuned to a recall, the same in every run, with a warning if approximate."""

import warnings
from pathlib import Path
from typing import NamedTuple

import faiss
import hierrec.index.build as index_build
import hierrec.search.vectors as search_vectors
import numpy as np
import pytest
from hierrec.core.errors import IndexMismatchError, NumericalError, ParamsError
from hierrec.core.files import read_json, write_json
from hierrec.index.build import IN_MEMORY_UP_TO, build_index, choose_kind, efforts, factory
from hierrec.search.index import ApproximateSearchWarning, ItemIndex
from hierrec.search.index_files import Kind
from hierrec.search.vectors import BATCH
from hierrec.store.whitening import WhitenedVectors, Whitening
from numpy.typing import NDArray

APPROXIMATE: list[Kind] = ["ivf", "hnsw", "ivf_pq"]

Matrix = NDArray[np.float32]


def clusters(count: int, width: int = 16) -> Matrix:
    generator = np.random.default_rng(0)
    centres = generator.normal(size=(count // 20, width))
    return (centres[np.arange(count) % len(centres)] + 0.4 * generator.normal(size=(count, width))).astype(np.float32)


class Built(NamedTuple):
    """Vectors, an approximate index of them as it was built, and its folder; to read."""

    vectors: Matrix
    made: ItemIndex
    folder: Path


@pytest.fixture(scope="module", params=APPROXIMATE)
def built(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Built:
    vectors, folder = clusters(1500), tmp_path_factory.mktemp("built") / "index"
    return Built(vectors, build_index(vectors, folder, "s", request.param, recall=0.9), folder)


def test_auto_is_exact_up_to_a_size() -> None:
    assert choose_kind("auto", 200_000, exact_up_to=200_000) == "flat"
    assert choose_kind("auto", 200_001, exact_up_to=200_000) == "ivf"
    assert choose_kind("auto", IN_MEMORY_UP_TO + 1, exact_up_to=200_000) == "ivf_pq"
    assert choose_kind("hnsw", 10, exact_up_to=200_000) == "hnsw"


def test_lists_grow_with_the_root_of_the_count() -> None:
    assert factory("ivf", 1_000_000, 128) == "IVF1024,Flat"
    assert factory("ivf_pq", 16_000_000, 128) == "IVF4096,PQ64"
    assert factory("ivf_pq", 100, 7) == "IVF8,PQ7"
    assert efforts("ivf", 1_000_000)[-1] == 1024


def test_what_is_opened_is_what_was_built(built: Built) -> None:
    vectors, index, folder = built
    with pytest.warns(ApproximateSearchWarning, match="recall@20"):
        read = ItemIndex.open(folder, "s")
    assert len(read) == 1500
    assert (read.setting, str(read)) == (index.setting, str(index))
    for one, other in zip(read.search(vectors, 5), index.search(vectors, 5), strict=True):
        assert np.array_equal(one, other)
    assert {path.name for path in folder.iterdir()} == {
        "manifest.json",
        *read_json(folder / "manifest.json")["files"],
    }


def test_the_recall_in_the_manifest_is_the_one_that_is_reached(built: Built) -> None:
    vectors, index, folder = built
    manifest = read_json(folder / "manifest.json")
    _, true = ItemIndex.build(vectors).search(vectors, 21)
    _, found = index.search(vectors, 21)
    recall = np.mean([len(set(a[1:]) & set(b[1:])) / 20 for a, b in zip(true, found, strict=True)])
    assert manifest["recall_at_20"] >= 0.9
    assert manifest["recall_at_20"] == pytest.approx(recall, abs=0.02)  # 512 of the 1,500 items
    assert manifest["queries"] == 512


def test_more_effort_only_where_recall_asks_for_it(tmp_path: Path) -> None:
    low, high = (build_index(clusters(1500), tmp_path / "index", "s", "ivf", recall).setting for recall in (0.3, 0.99))
    assert low.effort < high.effort
    assert low.recall_at_20 < high.recall_at_20


def test_all_lists_are_exact(tmp_path: Path) -> None:
    vectors = clusters(1500)
    index = build_index(vectors, tmp_path / "index", "s", "ivf", recall=1.0)
    exact = ItemIndex.build(vectors).search(vectors, 20)
    np.testing.assert_allclose(index.search(vectors, 20)[0], exact[0], atol=1e-6)
    assert index.setting.recall_at_20 == 1


def test_similarities_are_true_ones_in_order(built: Built) -> None:
    vectors, index, _ = built
    similarities, rows = index.search(vectors, 10)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    np.testing.assert_allclose(similarities, np.einsum("nd,nkd->nk", unit, unit[rows]), atol=1e-5)
    assert (np.diff(similarities) <= 0).all()


@pytest.mark.parametrize("kind", ["ivf", "ivf_pq"])
def test_what_is_not_found_is_said(kind: Kind, tmp_path: Path) -> None:
    index = build_index(clusters(600), tmp_path / "index", "s", kind, recall=0.1)
    similarities, rows = index.search(clusters(600)[:40], 500)
    assert ((rows < 0) == np.isneginf(similarities)).all()
    assert (rows[:, 0] >= 0).all()
    assert (rows[:, -1] == -1).any()


@pytest.mark.parametrize("kind", ["flat", *APPROXIMATE])
def test_equal_vectors_give_equal_bytes_whatever_the_threads(kind: Kind, tmp_path: Path) -> None:
    threads = faiss.omp_get_max_threads()
    try:
        for count in (1, 2):
            faiss.omp_set_num_threads(count)
            build_index(clusters(1000, width=4), tmp_path / str(count), "s", kind)
            assert faiss.omp_get_max_threads() == count
    finally:
        faiss.omp_set_num_threads(threads)
    for path in (tmp_path / "1").iterdir():
        assert path.read_bytes() == (tmp_path / "2" / path.name).read_bytes(), path.name


def test_approximate_search_is_never_silent(built: Built) -> None:
    _, index, folder = built
    assert read_json(folder / "manifest.json")["exact"] is index.exact is False
    assert "approximate: recall@20 0.9" in str(index) or "approximate: recall@20 1.0" in str(index)
    with pytest.warns(ApproximateSearchWarning, match=f"{folder}: FAISS .* approximate: recall@20"):
        ItemIndex.open(folder, "s")


def test_exact_search_warns_of_nothing(tmp_path: Path) -> None:
    build_index(clusters(100), tmp_path / "index", "s")
    assert read_json(tmp_path / "index" / "manifest.json")["exact"] is True
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert str(ItemIndex.open(tmp_path / "index", "s")) == "FAISS Flat, exact"


def test_several_shards_find_what_one_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shard = 1000
    monkeypatch.setattr(search_vectors, "BATCH", shard)
    vectors = clusters(2 * shard + 100, width=4)
    one = build_index(vectors, tmp_path / "one", "s", "ivf_pq", recall=0.5)
    monkeypatch.setattr(index_build, "SHARD", shard)
    three = build_index(vectors, tmp_path / "three", "s", "ivf_pq", recall=0.5)
    assert (len(three), three.setting) == (len(vectors), one.setting)
    some = vectors[[0, shard - 1, shard, 2 * shard, len(vectors) - 1]]
    for part, whole in zip(three.search(some, 20), one.search(some, 20), strict=True):
        assert np.array_equal(part, whole)


def test_vectors_may_be_computed_as_they_are_read(tmp_path: Path) -> None:
    raw = clusters(500)
    whitening = Whitening.fit(raw, 8)
    build_index(WhitenedVectors(whitening, raw), tmp_path / "lazy", "s", "flat")
    build_index(whitening.apply(raw), tmp_path / "whole", "s", "flat")
    assert (tmp_path / "lazy" / "index.faiss").read_bytes() == (tmp_path / "whole" / "index.faiss").read_bytes()


def test_too_few_vectors(tmp_path: Path) -> None:
    with pytest.raises(ParamsError, match=r"index\.kind: FAISS cannot index 100 vectors of width 16 with IVF8,PQ8"):
        build_index(clusters(100), tmp_path / "index", "s", "ivf_pq")
    assert not list(tmp_path.iterdir())


def test_a_vector_that_is_not_finite_is_named(tmp_path: Path) -> None:
    vectors = clusters(BATCH + 10, width=2)
    vectors[BATCH + 3, 1] = np.nan
    with pytest.raises(NumericalError, match=f"row {BATCH + 3}"):
        build_index(vectors, tmp_path / "index", "s")


def test_damage_of_lists_and_vectors_is_found(tmp_path: Path) -> None:
    folder = tmp_path / "index"
    build_index(clusters(600), folder, "s", "ivf_pq")
    for name in ("lists.ivfdata", "vectors.npy"):
        path = folder / name
        content = path.read_bytes()
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        with pytest.raises(IndexMismatchError, match=f"{name}: content has another hash"):
            ItemIndex.open(folder, "s")
        path.unlink()
        with pytest.raises(IndexMismatchError, match=f"{name}: file is missing"):
            ItemIndex.open(folder, "s")
        path.write_bytes(content)
    manifest = read_json(folder / "manifest.json")
    write_json(folder / "manifest.json", {**manifest, "count": 601})
    with pytest.raises(IndexMismatchError, match="600 vectors of width 16"):
        ItemIndex.open(folder, "s")


def test_settings_of_faiss_are_put_back(tmp_path: Path) -> None:
    before = faiss.cvar.distance_compute_blas_threshold
    build_index(clusters(600), tmp_path / "index", "s", "ivf").search(clusters(600), 3)
    assert faiss.cvar.distance_compute_blas_threshold == before
