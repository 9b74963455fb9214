"""The nearest keys equal those of a comparison of all keys, to the last bit."""

import numpy as np
import pytest
import torch
from hierrec.rag import nearest_keys
from hierrec.rag.nearest_keys import NearestKeys, largest
from hierrec.search.vectors import QUERIES
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray


def brute_force(keys: NDArray, query: NDArray, k: int) -> tuple[NDArray, NDArray]:
    products = np.einsum("nd,d->n", keys.astype(np.float32), query)
    rows = np.sort(np.lexsort((np.arange(len(keys)), -products))[:k])
    return rows, products[rows]


def make(seed: int, count: int, width: int, kind: str) -> NDArray[np.float16]:
    """Return keys float16 [count, width] of a kind that is hard for bounds, for rounding, or for ties."""
    generator = np.random.default_rng(seed)
    vectors = generator.standard_normal((count, width))
    match kind:
        case "few directions":
            vectors = vectors[:, :3] @ generator.standard_normal((min(3, width), width))
        case "duplicates":
            vectors = vectors[generator.integers(max(1, count // 40), size=count)]
        case "nearly equal":
            vectors = vectors[0] + 1e-3 * vectors
        case "norms":
            vectors *= np.exp(generator.uniform(-18, 9, (count, 1)))
        case "one coordinate":
            vectors = np.where(np.arange(width) == generator.integers(width, size=(count, 1)), vectors, 0)
    vectors[generator.random(count) < 0.1] = 0
    return vectors.clip(-65504, 65504).astype(np.float16)


KINDS = ("normal", "few directions", "duplicates", "nearly equal", "norms", "one coordinate")


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 9999),
    count=st.integers(1, 400),
    width=st.sampled_from([1, 2, 6, 61, 62, 63, 64, 128, 200]),
    kind=st.sampled_from(KINDS),
    k=st.integers(1, 90),
    scale=st.sampled_from([0.0, 1e-6, 1.0, 1e4]),
)
def test_equals_comparing_all_keys(seed: int, count: int, width: int, kind: str, k: int, scale: float) -> None:
    keys = make(seed, count, width, kind)
    generator = np.random.default_rng(seed + 1)
    queries = scale * generator.standard_normal((QUERIES, width))
    queries[::2] += scale * keys[generator.integers(count, size=len(queries[::2]))].astype(np.float32)
    queries = queries.astype(np.float32)
    nearest = NearestKeys(keys)
    for found in (nearest.search(queries, k), [nearest.search(query[None], k)[0] for query in queries[:4]]):
        for query, (rows, products) in zip(queries, found, strict=False):
            expected, exact = brute_force(keys, query, k)
            np.testing.assert_array_equal(rows, expected)
            np.testing.assert_array_equal(products, exact)


@pytest.mark.parametrize("kind", KINDS)
def test_no_product_exceeds_its_bound(kind: str) -> None:
    keys = make(3, 2000, 100, kind)
    codes = NearestKeys(keys).codes
    for query in np.random.default_rng(4).standard_normal((20, 100)).astype(np.float32):
        bounds, error = codes.bounds(query)
        exact = torch.from_numpy(keys.astype(np.float64) @ query - error).bfloat16()
        assert (bounds >= exact).all()


def test_the_codes_leave_few_keys_to_compare(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(0)
    keys = generator.standard_normal((20_000, 128)) * 0.96 ** np.arange(128)
    keys = (keys / np.linalg.norm(keys, axis=1, keepdims=True)).astype(np.float16)
    nearest, compared = NearestKeys(keys), []
    products = nearest_keys._products
    monkeypatch.setattr(nearest_keys, "_products", lambda *args: compared.append(len(args[-1])) or products(*args))
    nearest.search(keys[:1].astype(np.float32), 100)
    assert 100 <= sum(compared) < 1500


@pytest.mark.parametrize("k", [1, 20, 90])
def test_keys_that_the_codes_describe_badly_are_still_found(k: int) -> None:
    """Most of a product lies outside the codes' coordinates, so many keys beyond the first guess are compared."""
    keys = make(5, 5000, 200, "normal")
    nearest = NearestKeys(keys)
    for query in np.random.default_rng(6).standard_normal((10, 200)).astype(np.float32):
        ((rows, products),) = nearest.search(query[None], k)
        expected, exact = brute_force(keys, query, k)
        np.testing.assert_array_equal(rows, expected)
        np.testing.assert_array_equal(products, exact)


def test_many_ties_go_to_the_lower_keys() -> None:
    keys = np.ones((320, 8), np.float16)
    for rows, _ in NearestKeys(keys).search(np.ones((QUERIES, 8), np.float32), 10):
        assert rows.tolist() == list(range(10))


@pytest.mark.parametrize(("together", "products"), [(1, 1), (5, 900), (7, 2000)])
def test_the_size_of_a_block_changes_nothing(together: int, products: int, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = make(7, 300, 20, "duplicates")
    queries = np.random.default_rng(8).standard_normal((QUERIES + 1, 20)).astype(np.float32)
    whole = NearestKeys(keys).search(queries, 40)
    monkeypatch.setattr(nearest_keys, "TOGETHER", together)
    monkeypatch.setattr(nearest_keys, "PRODUCTS", products)
    for (rows, found), (expected, exact) in zip(NearestKeys(keys).search(queries, 40), whole, strict=True):
        np.testing.assert_array_equal(rows, expected)
        np.testing.assert_array_equal(found, exact)


def test_a_batch_rarely_needs_the_codes(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = make(9, 20_000, 32, "normal")
    nearest = NearestKeys(keys)
    monkeypatch.setattr(NearestKeys, "_by_codes", lambda *_: pytest.fail("searched by the codes"))
    for rows, _ in nearest.search(keys[:QUERIES].astype(np.float32), 1500):
        assert len(rows) == 1500


@given(values=st.lists(st.integers(-3, 3), max_size=30), k=st.integers(1, 35))
def test_largest_is_the_beginning_of_a_stable_sort(values: list[int], k: int) -> None:
    found = largest(np.array(values, np.float32), k)
    assert found.tolist() == np.argsort(-np.array(values, np.float32), kind="stable")[:k].tolist()


def test_no_keys_have_no_nearest() -> None:
    ((rows, products),) = NearestKeys(np.empty((0, 8), np.float16)).search(np.ones((1, 8), np.float32), 5)
    assert len(rows) == len(products) == 0
