"""Source `co_occurring` finds the items near an item in training histories, and reads no target."""

from collections import defaultdict
from math import log, sqrt

import numpy as np
from hierrec.core.sequences import Sequences
from hierrec.model.sources import NO_ITEM, Query
from hierrec.rag.similar_items import BEFORE, NEAR, RARE, CoOccurringItems
from hypothesis import given
from hypothesis import strategies as st

from tests.model.world import make_sequences

ITEMS, NEIGHBOURS = 8, 3
histories = st.lists(st.lists(st.integers(0, ITEMS - 1), min_size=3, max_size=9), min_size=1, max_size=5)


def naive(sequences: Sequences, item: int) -> list[tuple[int, float]]:
    """Return the nearest items and their similarities, by two loops."""
    strength: dict[int, float] = defaultdict(float)
    counts = sequences.training_counts(ITEMS)
    for history in sequences.training_histories():
        for here in np.flatnonzero(history == item):
            for there, other in enumerate(history.tolist()):
                distance = there - here
                if other != item and 0 < abs(distance) <= NEAR:
                    strength[other] += (1 if distance > 0 else BEFORE) / abs(distance)
    near = {other: value / sqrt((counts[item] + RARE) * (counts[other] + RARE)) for other, value in strength.items()}
    best = sorted(near, key=lambda other: (-round(near[other], 9), other))[:NEIGHBOURS]
    return [(other, log(near[other]) / 5) for other in best]


@given(histories)
def test_its_neighbours_are_those_of_a_naive_count(rows: list[list[int]]) -> None:
    sequences = make_sequences([np.array(row) for row in rows])
    source = CoOccurringItems(sequences, ITEMS, NEIGHBOURS, recent=2)
    query = Query(np.zeros((ITEMS, 1), np.float32), np.arange(ITEMS), [np.array([0, i]) for i in range(ITEMS)])
    found = source.retrieve(query)
    assert found.ages.tolist() == [0] * NEIGHBOURS + [1] * NEIGHBOURS
    for item in range(ITEMS):
        expected = naive(sequences, item)
        there = found.items[item, :NEIGHBOURS] != NO_ITEM
        assert there.sum() == len(expected)
        similarities = found.similarities[item, :NEIGHBOURS][there]
        np.testing.assert_allclose(similarities, [value for _, value in expected], rtol=1e-5, atol=1e-6)
        assert set(found.origins[item, :NEIGHBOURS]) == {item}


@given(histories)
def test_targets_and_what_follows_them_change_nothing(rows: list[list[int]]) -> None:
    sequences = make_sequences([np.array(row) for row in rows])
    query = Query(np.zeros((1, 1), np.float32), np.array([0]), [np.arange(ITEMS)])
    cut = make_sequences([np.array([*row[:-2], row[-1], row[-2]]) for row in rows])
    first, second = (CoOccurringItems(data, ITEMS, NEIGHBOURS, ITEMS).retrieve(query) for data in (sequences, cut))
    np.testing.assert_array_equal(first.items, second.items)
    np.testing.assert_array_equal(first.similarities, second.similarities)
