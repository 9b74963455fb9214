"""Overlap of histories is the cosine of two bags of items, weighted by recency."""

import numpy as np
from hierrec.rag.datastore import RECENCY, WINDOW, HistoryOverlap
from hypothesis import given
from hypothesis import strategies as st


def bag(history: list[int]) -> np.ndarray:
    """A history as a vector over items, the plain way."""
    vector = np.zeros(60)
    for age, item in enumerate(history[::-1][:WINDOW]):
        vector[item] += RECENCY**age
    return vector


@given(
    seed=st.integers(0, 999),
    users=st.integers(1, 5),
    length=st.integers(2, 60),
    history=st.lists(st.integers(0, 39), max_size=30),
    repeats=st.booleans(),
)
def test_equals_the_cosine_of_the_bags(seed: int, users: int, length: int, history: list[int], repeats: bool) -> None:
    generator = np.random.default_rng(seed)
    lengths = generator.integers(2, length + 1, size=users)
    sequences = [generator.permutation(60)[:count] % (7 if repeats else 60) for count in lengths]
    next_items = np.concatenate([sequence[1:] for sequence in sequences])
    owners = np.repeat(np.arange(users), lengths - 1)
    overlap = HistoryOverlap(next_items, owners)(np.array(history, np.int64), np.arange(len(owners)))
    prefixes = [sequence[1:end].tolist() for sequence in sequences for end in range(1, len(sequence))]
    for found, prefix in zip(overlap, prefixes, strict=True):
        ours, theirs = bag(history), bag(prefix)
        norms = np.linalg.norm(ours) * np.linalg.norm(theirs)
        np.testing.assert_allclose(found, ours @ theirs / norms if norms else 0, atol=1e-6)


def test_the_same_latest_items_overlap_entirely() -> None:
    overlap = HistoryOverlap(np.array([3, 4, 5, 6]), np.array([0, 0, 0, 0]))
    np.testing.assert_allclose(overlap(np.array([3, 4]), np.array([2])), [1], atol=1e-6)
    assert overlap(np.array([9, 8]), np.array([2])).tolist() == [0]
    assert overlap(np.array([], np.int64), np.array([2])).tolist() == [0]
