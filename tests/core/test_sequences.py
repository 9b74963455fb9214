"""Sequences hold the tables' items, cut by the split. Bad tables are refused."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hierrec.core.errors import DataError
from hierrec.core.sequences import NO_TARGET, Sequences, pad_histories
from hypothesis import given
from hypothesis import strategies as st

from tests.model.world import make_sequences

Users = list[list[int]]
ITEMS = 9
some_users = st.lists(st.lists(st.integers(0, ITEMS - 1), min_size=1, max_size=8), min_size=1, max_size=6)


def tables(users: Users) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return interactions and split, leave-one-out, of users given as lists of items."""
    rows = [(user, item, position) for user, items in enumerate(users) for position, item in enumerate(items)]
    interactions = pl.DataFrame(rows, dict.fromkeys(("user", "item", "position"), pl.Int32), orient="row")
    split = [
        (user, len(items) - 2, *items[-2:]) if len(items) >= 3 else (user, len(items), None, None)
        for user, items in enumerate(users)
    ]
    columns = ["user", "train_length", "validation", "test"]
    return interactions, pl.DataFrame(split, columns, orient="row").cast(pl.Int32)


def sequences_of(interactions: pl.DataFrame, split: pl.DataFrame) -> Sequences:
    """Sequences of a table that comes in parts of two rows."""
    return Sequences.from_tables(interactions.iter_slices(2), split)


@given(some_users)
def test_histories_and_targets_are_those_of_the_tables(users: Users) -> None:
    sequences = sequences_of(*tables(users))
    assert sequences.user_count == len(users)
    validation, test = sequences.validation_histories(), sequences.test_histories()
    for user, items in enumerate(users):
        training = items[:-2] if len(items) >= 3 else items
        assert sequences.training_items(user).tolist() == validation[user].tolist() == training
        if len(items) >= 3:
            assert [*validation[user], sequences.validation[user], sequences.test[user]] == items
            assert [*test[user], sequences.test[user]] == items
        else:
            assert sequences.validation[user] == sequences.test[user] == NO_TARGET
            assert test[user].tolist() == items


@given(some_users)
def test_fitted_again_a_user_has_what_comes_before_the_test_then_everything(users: Users) -> None:
    sequences = sequences_of(*tables(users))
    before_test, whole = sequences.before_test(), sequences.whole()
    for user, items in enumerate(users):
        known = items[:-1] if len(items) >= 3 else items
        assert before_test.training_items(user).tolist() == known
        assert before_test.test_histories()[user].tolist() == known
        assert whole.training_items(user).tolist() == whole.test_histories()[user].tolist() == items
    assert before_test.test.tolist() == sequences.test.tolist()
    for targets in (before_test.validation, whole.validation, whole.test):
        assert (targets == NO_TARGET).all()


@given(some_users)
def test_only_training_items_are_counted(users: Users) -> None:
    training = [item for items in users for item in (items[:-2] if len(items) >= 3 else items)]
    counts = sequences_of(*tables(users)).training_counts(ITEMS)
    assert counts.tolist() == [training.count(item) for item in range(ITEMS)]


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("train_length", [2, 5, 1], "column train_length, user 1"),
        ("train_length", [3, 2, 1], "column validation, user 0"),
        ("train_length", [2, 2, 2], "column train_length, user 2"),
        ("train_length", [2, -1, 1], "column train_length, user 1"),
        ("train_length", [1, 2, 1], "column validation, user 0"),
        ("validation", [2, 5, None], "column validation, user 1"),
        ("validation", [3, 6, None], "column validation, user 0"),
        ("validation", [None, 6, None], "column test, user 0"),
        ("test", [3, 6, None], "column test, user 1"),
        ("test", [3, None, None], "column test, user 1"),
        ("test", [3, 7, 0], "column test, user 2"),
        ("user", [0, 2, 1], "different users"),
    ],
)
def test_a_split_that_does_not_fit_is_refused(column: str, values: list[int | None], message: str) -> None:
    interactions, split = tables([[0, 1, 2, 3], [4, 5, 6, 7], [8]])
    wrong = split.with_columns(pl.Series(column, values, pl.Int32))
    with pytest.raises(DataError, match=message):
        sequences_of(interactions, wrong)


def test_other_users_are_refused() -> None:
    interactions, split = tables([[0, 1, 2], [3]])
    for fewer, users in ((interactions, split[:1]), (interactions[:3], split)):
        with pytest.raises(DataError, match="`dvc repro`"):
            sequences_of(fewer, users)


@given(
    histories=st.lists(st.lists(st.integers(1, 9), max_size=7), max_size=5),
    limit=st.integers(1, 8),
)
def test_padding_keeps_the_latest_items(histories: Users, limit: int) -> None:
    rows, lengths = pad_histories([np.array(history, np.int64) for history in histories], limit)
    assert rows.shape == (len(histories), max([1, *lengths]))
    for row, length, history in zip(rows, lengths, histories, strict=True):
        assert row[:length].tolist() == history[-limit:]
        assert not row[length:].any()


def with_targets(validation: list[int], test: list[int], several: bool = False) -> Sequences:
    """Six users of four items with these targets, `NO_TARGET` for none. `several`: two rows of targets each."""
    sequences = make_sequences([np.arange(4)] * 6)
    columns = (np.array(values).repeat(1 + several) for values in (validation, test))
    rows = np.stack([np.arange(6).repeat(2), np.full(12, 2), np.full(12, 3)], 1) if several else np.empty((0, 3))
    names = ("validation", "test", "target_rows")
    return replace(sequences, **dict(zip(names, (*columns, rows.astype(np.int64)), strict=True)))


some_targets = st.lists(st.sampled_from([NO_TARGET, 2]), min_size=6, max_size=6)


@given(some_targets, some_targets, st.booleans(), st.integers(0, 99), st.integers(1, 7))
def test_of_each_kind_the_targets_of_some_users_are_drawn(
    validation: list[int], test: list[int], several: bool, seed: int, most: int
) -> None:
    sequences = with_targets(validation, test, several)
    drawn = sequences.with_targets_of(most, seed)
    for before, after in ((sequences.validation, drawn.validation), (sequences.test, drawn.test)):
        users = [set(sequences.owners[targets != NO_TARGET]) for targets in (before, after)]
        assert users[1] <= users[0]
        assert len(users[1]) == min(most, len(users[0]))
        kept = np.isin(sequences.owners, list(users[1]))
        np.testing.assert_array_equal(after, np.where(kept, before, NO_TARGET))
    # Validation targets do not change which test targets are drawn.
    other = with_targets([2] * 6, test, several).with_targets_of(most, seed)
    np.testing.assert_array_equal(other.test, drawn.test)
    everything = sequences.with_targets_of(None, seed)
    np.testing.assert_array_equal(everything.validation, sequences.validation)
    np.testing.assert_array_equal(everything.test, sequences.test)


def test_other_seeds_draw_other_users() -> None:
    sequences = make_sequences([np.arange(5)] * 20)
    assert len({tuple(sequences.with_targets_of(7, seed).test) for seed in range(5)}) == 5
