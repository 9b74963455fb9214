"""The baselines: by hand, against plain loops, and blind to held-out items."""

from collections import Counter
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from hierrec.core.sequences import NO_TARGET, Sequences
from hierrec.evaluation.baselines import (
    FADING,
    FALL,
    NEIGHBOURS,
    REACH,
    RECENT,
    LastTaken,
    Markov,
    Neighbours,
    Popularity,
    baselines,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.model.world import make_sequences

ITEMS = 8
USERS = st.lists(st.permutations(range(ITEMS)).flatmap(lambda p: st.integers(1, ITEMS).map(lambda k: p[:k])))
DATA = USERS.filter(len).map(lambda users: make_sequences([np.array(user) for user in users]))


def training_only(*users: list[int]) -> Sequences:
    """Return users with training items only."""
    nobody = np.full(len(users), NO_TARGET)
    sequences = make_sequences([np.array(user) for user in users])
    return replace(sequences, train_length=np.diff(sequences.offsets), validation=nobody, test=nobody)


def scores(scorer: Popularity, history: list[int], user: int = 0) -> NDArray[np.float32]:
    return scorer.score_histories([np.array(history, np.int64)], np.array([user])).numpy()[0]


def order(values: NDArray[np.float32]) -> list[list[int]]:
    """Return the items from the best to the worst; equal ones share a place."""
    return [np.flatnonzero(values == value).tolist() for value in sorted(set(values.tolist()), reverse=True)]


def test_popularity_is_the_number_of_training_interactions_worked_by_hand() -> None:
    popularity = Popularity(training_only([2, 0], [2, 1], [2, 0, 3]), 5)
    assert order(scores(popularity, [1])) == [[2], [0], [1, 3], [4]]
    assert scores(popularity, []).tolist() == scores(popularity, [3, 1]).tolist()


def test_markov_worked_by_hand() -> None:
    # After 0: 1 twice, 2 and 3 once each. 3 is more popular than 2. The rest go by popularity: 0, 4.
    markov = Markov(training_only([0, 1, 4], [0, 1, 3], [0, 2, 4], [0, 3], [4]), 7)
    assert order(scores(markov, [2, 0])) == [[1], [3], [2], [0], [4], [5, 6]]
    assert order(scores(markov, [0, 6])) == [[0], [4], [1, 3], [2], [5, 6]]
    assert order(scores(markov, [])) == order(scores(markov, [6]))


def test_neighbours_worked_by_hand() -> None:
    # User 0 took 0, then 1. After 1, user 1 took 0 and 2, user 2 took 3 and 4. User 3 took neither.
    sequences = training_only([0, 1], [1, 0, 2], [0, 1, 3, 4], [5, 6])
    rarity = [np.log1p(4 / count) for count in (3, 3)]
    first = (FADING * rarity[0] + rarity[1]) / np.sqrt(3)  # user 1: the latest shared item, 1, comes before 0
    second = (FADING * rarity[0] + rarity[1]) / np.sqrt(4)
    near, far = np.exp(-1 / FALL), np.exp(-2 / FALL)
    found = scores(Neighbours(sequences, 8), [0, 1])
    assert found[[0, 2, 3, 4]] == pytest.approx([first * near, first * far, second * near, second * far])
    assert order(found)[-3:] == [[1], [5, 6], [7]]


def test_the_last_taken_item_is_first_and_an_item_counts_where_it_was_taken_last() -> None:
    last = LastTaken(training_only([4, 3], [4]), 6)
    assert order(scores(last, [1, 2, 0, 1])) == [[1], [0], [2], [4], [3], [5]]


def test_last_taken_is_there_only_where_items_repeat() -> None:
    once = training_only([0, 1, 2])
    names = ["popularity", "markov", "neighbours"]
    assert list(baselines(once, 3)) == names
    assert list(baselines(replace(once, repeated=True), 3)) == [*names, "last_taken"]


@settings(deadline=None, max_examples=60)
@given(DATA, st.permutations(range(ITEMS)), st.integers(0, ITEMS))
def test_markov_is_what_a_plain_loop_counts(sequences: Sequences, items: list[int], length: int) -> None:
    history = items[:length]
    followed: Counter[int] = Counter()
    popularity: Counter[int] = Counter()
    for user in range(sequences.user_count):
        taken = sequences.training_items(user).tolist()
        popularity.update(taken)
        followed.update(b for a, b in pairwise(taken) if history and a == history[-1])
    expected = sorted({(followed[item], popularity[item]) for item in range(ITEMS)}, reverse=True)
    found = order(scores(Markov(sequences, ITEMS), history))
    assert [{(followed[item], popularity[item]) for item in place} for place in found] == [{pair} for pair in expected]


def by_loops(sequences: Sequences, item_count: int, history: list[int], user: int) -> NDArray[np.float64]:
    """Return the scores of `Neighbours` above 0, [n], by its description."""
    users = [sequences.training_items(other).tolist() for other in range(sequences.user_count)]
    counts = Counter(item for items in users for item in items)
    recent = history[-RECENT:]
    weights = FADING ** np.arange(len(recent))[::-1]
    similar = {}
    for other, items in enumerate(users):
        parts = [
            np.log1p(len(users) / counts[item]) * weight
            for item, weight in zip(recent, weights, strict=True)
            if item in items
        ]
        if parts and other != user:
            similar[other] = sum(parts) / np.sqrt(len(items))
    limit = sorted(similar.values(), reverse=True)[:NEIGHBOURS][-1:]
    result = np.zeros(item_count)
    for other, similarity in similar.items():
        if similarity < limit[0]:
            continue
        items = users[other]
        start = items.index(next(item for item in reversed(recent) if item in items))
        for step, item in enumerate(items[start + 1 : start + 1 + REACH], 1):
            result[item] += similarity * np.exp(-step / FALL)
    return result


@settings(deadline=None, max_examples=60)
@given(DATA, st.permutations(range(ITEMS)), st.integers(0, ITEMS))
def test_neighbours_are_what_plain_loops_find(sequences: Sequences, items: list[int], length: int) -> None:
    history = items[:length]
    found = scores(Neighbours(sequences, ITEMS), history)
    expected = by_loops(sequences, ITEMS, history, 0)
    assert np.where(found > 0, found, 0) == pytest.approx(expected)
    assert found[found < 0].tolist() == scores(Popularity(sequences, ITEMS), [])[found < 0].tolist()


def test_the_nearest_neighbours_alone_count_and_long_histories_are_cut() -> None:
    generator = np.random.default_rng(0)
    users = [generator.permutation(90)[: generator.integers(3, 80)] for _ in range(NEIGHBOURS + 200)]
    sequences = make_sequences(users)
    history = generator.permutation(90)[: RECENT + 20].tolist()
    found = scores(Neighbours(sequences, 90), history, 3)
    assert np.where(found > 0, found, 0) == pytest.approx(by_loops(sequences, 90, history, 3), rel=1e-5)


@settings(deadline=None, max_examples=60)
@given(DATA, st.data())
def test_nothing_that_is_held_out_changes_a_score(sequences: Sequences, data: st.DataObject) -> None:
    places = np.arange(len(sequences.items)) - np.repeat(sequences.offsets[:-1], np.diff(sequences.offsets))
    held_out = np.flatnonzero(places >= np.repeat(sequences.train_length, np.diff(sequences.offsets)))
    items = sequences.items.copy()
    for place in held_out:
        items[place] = data.draw(st.integers(0, ITEMS - 1))
    changed = replace(sequences, items=items, validation=sequences.test, test=sequences.validation)
    histories = sequences.test_histories()
    users = np.arange(sequences.user_count)
    before, after = baselines(sequences, ITEMS), baselines(changed, ITEMS)
    for name in before:
        assert torch.equal(*(kind[name].score_histories(histories, users) for kind in (before, after)))


@settings(deadline=None, max_examples=30)
@given(DATA)
def test_the_batch_changes_no_score(sequences: Sequences) -> None:
    histories, users = sequences.validation_histories(), np.arange(sequences.user_count)
    for scorer in (*baselines(sequences, ITEMS).values(), LastTaken(sequences, ITEMS)):
        alone = [scorer.score_histories([history], users[[user]]) for user, history in enumerate(histories)]
        together = scorer.score_histories(histories, users)
        assert together.shape == (len(users), ITEMS)
        assert torch.equal(together, torch.cat(alone))
