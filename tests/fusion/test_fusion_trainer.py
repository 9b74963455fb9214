"""No held-out item reaches the datastore; the fusion learns from validation targets alone."""

from dataclasses import replace

import numpy as np
import torch
from hierrec.core.sequences import Sequences, split_users
from hierrec.fusion.fusion_trainer import FusionExamples
from hierrec.fusion.prefixes import prefix_states
from hierrec.model.checkpoint import new_model
from hierrec.model.params import TrainParams
from hierrec.model.scorer import Scorer
from hierrec.rag.datastore import Datastore, Lookup
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.model.world import ITEMS

Halves = tuple[NDArray[np.int64], NDArray[np.int64]]


def remembered(
    params: TrainParams, frozen: NDArray, sequences: Sequences, most: int = 100
) -> tuple[Datastore, FusionExamples, Halves]:
    model = new_model(params, frozen).eval()
    prefixes = prefix_states(model, sequences)
    lookup = Lookup(shortlist=8, overlap=0.3, neighbours=5, following=2, preceding=2)
    datastore = Datastore.of(prefixes.states, prefixes.next_items, prefixes.users, lookup)
    base = Scorer(model, np.ones(ITEMS, np.bool_), dtype=torch.float32)
    return datastore, *FusionExamples.validation(base, sequences, {"next_items": datastore}, most)


def test_test_items_change_nothing_and_validation_items_the_targets_alone(
    train_params: TrainParams, frozen: NDArray, sequences: Sequences
) -> None:
    held = sequences.validation >= 0
    items = sequences.items.copy()
    items[sequences.offsets[1:][held] - 1] = (items[sequences.offsets[1:][held] - 1] + 5) % ITEMS
    items[sequences.offsets[1:][held] - 2] = (items[sequences.offsets[1:][held] - 2] + 7) % ITEMS
    changed = replace(
        sequences,
        items=items,
        validation=np.where(held, (sequences.validation + 7) % ITEMS, -1),
        test=np.where(held, (sequences.test + 5) % ITEMS, -1),
    )
    first, learned, halves = remembered(train_params, frozen, sequences)
    second, again, halves_again = remembered(train_params, frozen, changed)
    np.testing.assert_array_equal(first.keys, second.keys)
    np.testing.assert_array_equal(first.next_items, second.next_items)
    np.testing.assert_array_equal((learned.targets + 7) % ITEMS, again.targets)
    np.testing.assert_array_equal(learned.query.states, again.query.states)
    np.testing.assert_array_equal(learned.retrieved["next_items"].items, again.retrieved["next_items"].items)
    for half, half_again in zip(halves, halves_again, strict=True):
        np.testing.assert_array_equal(half, half_again)


def test_the_halves_are_of_the_users_with_a_target(
    train_params: TrainParams, frozen: NDArray, sequences: Sequences
) -> None:
    having = np.flatnonzero(sequences.validation >= 0)
    expected = [having[half] for half in split_users(having)]
    _, every, halves = remembered(train_params, frozen, sequences)
    _, some, drawn = remembered(train_params, frozen, sequences, most=2)
    np.testing.assert_array_equal(np.concatenate(halves), np.arange(len(every.targets)))
    for half, users in zip(halves, expected, strict=True):
        np.testing.assert_array_equal(every.query.users[half], users)
        np.testing.assert_array_equal(every.targets[half], sequences.validation[users])
    for fewer, users in zip(drawn, expected, strict=True):
        assert len(fewer) == 2 < len(users)
        np.testing.assert_array_equal(some.targets[fewer], sequences.validation[some.query.users[fewer]])
        assert set(some.query.users[fewer]) < set(users)


def test_users_with_many_targets_give_no_more_examples_than_users_with_one(
    train_params: TrainParams, frozen: NDArray, sequences: Sequences
) -> None:
    having = np.repeat(np.flatnonzero(sequences.validation >= 0), 5)
    lengths = sequences.train_length[having]
    several = replace(
        sequences,
        validation=sequences.validation[having],
        test=sequences.test[having],
        target_rows=np.stack([having, lengths, lengths + 1], 1),
    )
    _, every, halves = remembered(train_params, frozen, several)
    assert len(every.targets) == len(having)
    assert not set(every.query.users[halves[0]]) & set(every.query.users[halves[1]])
    _, some, drawn = remembered(train_params, frozen, several, most=10)
    assert [len(half) for half in drawn] == [10, 10]
    np.testing.assert_array_equal(some.targets, sequences.validation[some.query.users])


@given(st.lists(st.integers(0, 30), min_size=2), st.integers(1, 40))
def test_halves_share_nobody_and_leave_nobody_out(names: list[int], most: int) -> None:
    users = np.array(names)
    first, second = (set(users[half]) for half in split_users(users))
    assert not first & second
    assert first | second == set(names)
    assert abs(len(first) - len(second)) <= 1
    for half, whole in zip(split_users(users, most), split_users(users), strict=True):
        drawn = set(users[half])
        assert len(drawn) == min(most, len(set(users[whole])))
        np.testing.assert_array_equal(half, whole[np.isin(users[whole], list(drawn))])
