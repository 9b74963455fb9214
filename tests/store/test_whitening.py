"""Whitening: unit variance, no correlation, nothing amplified from noise."""

from pathlib import Path

import numpy as np
import pytest
from hierrec.core.errors import NumericalError, StoreError
from hierrec.store.whitening import Whitening
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray

MANIFEST = {"dimension": 6, "whitened_dimension": 4}


def correlated(count: int, width: int, seed: int = 0) -> NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(count, width)) @ rng.normal(size=(width, width)) + rng.normal(size=width)
    return vectors.astype(np.float32)


@given(st.integers(4, 90), st.integers(1, 12), st.integers(0, 100), st.data())
def test_whitened_vectors_have_unit_covariance(count: int, width: int, seed: int, data: st.DataObject) -> None:
    vectors = correlated(count, width, seed)
    dimension = data.draw(st.integers(1, max(1, min(max(min(8, count // 2), count // 5), width))))
    spread = np.linalg.svd(vectors - vectors.mean(0), compute_uv=False)
    assume(spread[dimension - 1] > 1e-4 * spread[0])  # else a direction is taken for rounding noise
    whitened = Whitening.fit(vectors, dimension).apply(vectors)
    assert whitened.dtype == np.float32
    assert whitened.shape == (count, dimension)
    np.testing.assert_allclose(whitened.mean(0), 0, atol=1e-3)
    np.testing.assert_allclose(np.cov(whitened, rowvar=False), np.eye(dimension).squeeze(), atol=1e-2)


@pytest.mark.parametrize(
    ("count", "dimensions"),
    [(2, 1), (9, 4), (16, 8), (44, 8), (45, 9), (300, 60), (1259, 251), (1260, 252), (5000, 252)],
)
def test_there_are_five_items_for_each_dimension_beyond_eight(count: int, dimensions: int) -> None:
    vectors = np.random.default_rng(0).normal(size=(count, 256)).astype(np.float32)
    assert Whitening.fit(vectors, 252).projection.shape == (256, dimensions)


def test_vectors_in_chunks_are_whitened_as_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = correlated(40, 6)
    whole = Whitening.fit(vectors, 4).apply(vectors)
    monkeypatch.setattr("hierrec.store.whitening.CHUNK", 7)
    np.testing.assert_allclose(Whitening.fit(vectors, 4).apply(vectors), whole, atol=1e-5)


def test_directions_come_by_variance() -> None:
    rng = np.random.default_rng(0)
    vectors = (rng.normal(size=(500, 3)) * [0.1, 10, 1] + 5).astype(np.float32)
    projection = Whitening.fit(vectors, 2).projection
    np.testing.assert_allclose(projection, [[0, 0], [0.1, 0], [0, 1]], atol=0.1)
    assert projection[1, 0] > 0
    assert projection[2, 1] > 0


def test_sign_does_not_depend_on_the_order_of_items() -> None:
    vectors = correlated(200, 8)
    shuffled = np.random.default_rng(1).permutation(vectors)
    np.testing.assert_allclose(
        Whitening.fit(vectors, 8).projection, Whitening.fit(shuffled, 8).projection, rtol=1e-3, atol=1e-4
    )


def test_none_only_centres() -> None:
    vectors = correlated(20, 5)
    np.testing.assert_allclose(
        Whitening.fit(vectors, None).apply(vectors), vectors - vectors.mean(0), rtol=1e-5, atol=1e-5
    )


def test_directions_without_variance_become_zero() -> None:
    vectors = np.repeat(correlated(3, 6), 10, axis=0)  # rank 2
    whitened = Whitening.fit(vectors, 5).apply(vectors)
    np.testing.assert_allclose(np.var(whitened, axis=0, ddof=1), [1, 1, 0, 0, 0], atol=1e-4)
    constant = np.full((10, 4), 0.3, np.float32)
    assert not Whitening.fit(constant, 4).apply(constant).any()


@pytest.mark.parametrize(("count", "dimension", "there"), [(10, 7, 5), (5, 5, 2), (2, 9, 1), (1, 3, 1)])
def test_there_are_at_most_as_many_directions_as_the_vectors_have(count: int, dimension: int, there: int) -> None:
    vectors = correlated(count, 6)
    whitened = Whitening.fit(vectors, dimension).apply(vectors)
    assert whitened.shape == (count, there)
    expected = 0 if count == 1 else 1
    np.testing.assert_allclose(whitened.var(0, ddof=min(1, count - 1)), expected, atol=1e-4)


def test_not_finite() -> None:
    vectors = correlated(10, 3)
    vectors[4, 1] = np.nan
    with pytest.raises(NumericalError):
        Whitening.fit(vectors, 2)


def test_round_trip(tmp_path: Path) -> None:
    vectors, path = correlated(30, 6), tmp_path / "whitening.safetensors"
    whitening = Whitening.fit(vectors, 4)
    whitening.save(path)
    loaded = Whitening.of_store(tmp_path, MANIFEST)
    assert np.array_equal(loaded.apply(vectors), whitening.apply(vectors))
    first = path.read_bytes()
    whitening.save(path)
    assert path.read_bytes() == first


def test_damaged_files(tmp_path: Path) -> None:
    path = tmp_path / "whitening.safetensors"
    with pytest.raises(StoreError, match="missing"):
        Whitening.of_store(tmp_path, MANIFEST)
    whitening = Whitening.fit(correlated(30, 6), 4)
    whitening.save(path)
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(StoreError, match="not a whitening map"):
        Whitening.of_store(tmp_path, MANIFEST)
    Whitening(whitening.mean[:5], whitening.projection).save(path)
    with pytest.raises(StoreError, match=r"shape \(5,\), but manifest.json says \(6,\)"):
        Whitening.of_store(tmp_path, MANIFEST)
    for scale in ((np.nan, 1), (1, np.inf)):
        Whitening(whitening.mean * scale[0], whitening.projection * scale[1]).save(path)
        with pytest.raises(StoreError, match="not finite"):
            Whitening.of_store(tmp_path, MANIFEST)
