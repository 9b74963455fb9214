"""Dropped and replaced items: how many, never the target, and the same in every batch."""

import numpy as np
import pytest
from hierrec.core.sequences import NO_TARGET
from hierrec.evaluation.protocol import perturbed_histories
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

ITEMS = 60
CANDIDATES = np.arange(ITEMS) % 6 != 0
shares = st.floats(0, 0.99)
seeds = st.integers(0, 2**32)


@st.composite
def users(draw: st.DrawFn) -> tuple[list[NDArray[np.int64]], NDArray[np.int64]]:
    """Histories of 0 to 20 different items, with a target that is not in them, or none."""
    histories, targets = [], []
    for _ in range(draw(st.integers(1, 5))):
        items = draw(st.lists(st.integers(0, ITEMS - 1), min_size=1, max_size=21, unique=True))
        histories.append(np.array(items[1:], np.int64))
        targets.append(draw(st.sampled_from([items[0], NO_TARGET])))
    return histories, np.array(targets)


@given(users(), shares, seeds)
def test_dropping_keeps_the_order_and_the_share(data: tuple, share: float, seed: int) -> None:
    histories, targets = data
    dropped = perturbed_histories(histories, targets, CANDIDATES, share, seed)["dropped"]
    for history, target, rest in zip(histories, targets, dropped, strict=True):
        assert rest.tolist() == [item for item in history if item in rest]
        asked = min(round(share * len(history)), max(0, len(history) - 1))
        assert len(history) - len(rest) == (asked if target != NO_TARGET else 0)


@given(users(), shares, seeds)
def test_replacing_keeps_the_rest_in_place_and_never_names_the_target(data: tuple, share: float, seed: int) -> None:
    histories, targets = data
    perturbed = perturbed_histories(histories, targets, CANDIDATES, share, seed)
    for history, target, dropped, replaced in zip(histories, targets, *perturbed.values(), strict=True):
        assert len(replaced) == len(history) == len(set(replaced))
        changed = replaced != history
        assert history[~changed].tolist() == dropped.tolist()  # the same places as the dropped items
        new = replaced[changed]
        assert CANDIDATES[new].all()
        assert not set(new) & {*history, target}


@given(users(), seeds)
def test_who_else_is_there_changes_nothing(data: tuple, seed: int) -> None:
    histories, targets = data
    together = perturbed_histories(histories, targets, CANDIDATES, 0.4, seed)
    fewer = perturbed_histories(histories[:1], targets[:1], CANDIDATES, 0.4, seed)
    for name in together:
        assert together[name][0].tolist() == fewer[name][0].tolist()


def test_the_seed_decides_and_the_input_stays() -> None:
    history = np.arange(1, 40)
    calls = [perturbed_histories([history], np.array([50]), CANDIDATES, 0.3, seed) for seed in (1, 1, 2)]
    first, same, other = (call["replaced"][0].tolist() for call in calls)
    assert first == same != other
    assert history.tolist() == list(range(1, 40))


def test_users_with_the_same_history_are_perturbed_differently() -> None:
    history = np.arange(1, 40)
    dropped = perturbed_histories([history, history], np.array([50, 50]), CANDIDATES, 0.3, 1)["dropped"]
    assert dropped[0].tolist() != dropped[1].tolist()


@pytest.mark.parametrize("spare", [0, 2])
def test_a_user_who_has_nearly_everything_keeps_more(spare: int) -> None:
    history = np.arange(ITEMS - 1 - spare)
    perturbed = perturbed_histories([history], np.array([ITEMS - 1]), np.ones(ITEMS, np.bool_), share=0.5, seed=3)
    assert (perturbed["replaced"][0] != history).sum() == spare
