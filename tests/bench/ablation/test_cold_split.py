"""Cold items leave no trace in training, and every target among them is counted."""

import numpy as np
import pytest
from hierrec.core.sequences import NO_TARGET
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from bench.ablation.cold_split import choose_cold, split_cold
from tests.model.world import make_sequences

ITEMS = 12
users = st.lists(st.lists(st.integers(0, ITEMS - 1), min_size=1, max_size=ITEMS, unique=True), min_size=1, max_size=8)


@given(users, arrays(bool, ITEMS))
def test_training_has_no_cold_item_and_the_other_items_in_their_order(items: list[list[int]], cold: np.ndarray) -> None:
    sequences = make_sequences([np.array(user) for user in items])
    training = split_cold(sequences, cold).training
    assert not cold[training.items].any()
    assert not training.training_counts(ITEMS)[cold].any()
    for user in range(len(items)):
        kept = [item for item in sequences.training_items(user) if not cold[item]]
        assert training.training_items(user).tolist() == kept


@given(users, arrays(bool, ITEMS))
def test_each_target_is_a_cold_or_a_warm_one(items: list[list[int]], cold: np.ndarray) -> None:
    sequences = make_sequences([np.array(user) for user in items])
    split = split_cold(sequences, cold)
    for name in ("validation", "test"):
        original, among_cold = getattr(sequences, name), split.targets[name]
        among_warm = getattr(split.training, name)
        is_target = original != NO_TARGET
        assert np.array_equal(among_cold != NO_TARGET, is_target & cold[original])
        assert np.array_equal(among_warm != NO_TARGET, is_target & ~cold[original])
        assert np.array_equal(np.maximum(among_cold, among_warm), original)


@given(users, arrays(bool, ITEMS))
def test_histories_are_what_came_before_less_the_cold(items: list[list[int]], cold: np.ndarray) -> None:
    split = split_cold(make_sequences([np.array(user) for user in items]), cold)
    for user, sequence in enumerate(items):
        held_out = len(sequence) >= 3
        for name, before in (("validation", sequence[:-2]), ("test", sequence[:-1])):
            expected = [item for item in (before if held_out else sequence) if not cold[item]]
            assert split.histories[name][user].tolist() == expected


def test_the_choice_is_by_seed_and_id_alone() -> None:
    ids = [str(number) for number in range(4000)]
    everything = np.ones(len(ids), bool)
    cold = choose_cold(ids, everything, 0.1, seed=1)
    assert cold.mean() == pytest.approx(0.1, abs=0.02)
    assert np.array_equal(choose_cold(ids[::-1], everything, 0.1, seed=1), cold[::-1])
    assert (cold & choose_cold(ids, everything, 0.1, seed=2)).mean() < 0.03
    assert not choose_cold(ids, ~cold, 0.1, seed=1).any()
