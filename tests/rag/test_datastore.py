"""The datastore finds exactly the nearest prefixes of other users."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hierrec.core.errors import CheckpointError
from hierrec.model.sources import ANONYMOUS, NO_ITEM, Query
from hierrec.rag.datastore import Datastore, Lookup
from hierrec.search.vectors import QUERIES
from hypothesis import given
from hypothesis import strategies as st


def make(seed: int, entries: int, users: int, neighbours: int) -> tuple[Datastore, np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    states = generator.standard_normal((entries, 6))
    owners = generator.integers(users, size=entries)
    lookup = Lookup(shortlist=2 * neighbours, overlap=0.0, neighbours=neighbours, following=1, preceding=0)
    return Datastore.of(states, np.arange(entries) + 100, owners, lookup), states, owners


@given(
    seed=st.integers(0, 999),
    entries=st.integers(1, 60),
    users=st.integers(1, 4),
    neighbours=st.integers(1, 12),
)
def test_equals_brute_force_without_the_users_own(seed: int, entries: int, users: int, neighbours: int) -> None:
    datastore, states, owners = make(seed, entries, users, neighbours)
    queries = np.random.default_rng(seed + 1).standard_normal((5, 6)).astype(np.float32)
    asking = np.array([ANONYMOUS, 0, 1, 2, 3])
    found = datastore.retrieve(Query(queries, asking, [np.array([0])] * 5))
    cosine = (queries / np.linalg.norm(queries, axis=1, keepdims=True)) @ (
        states / np.linalg.norm(states, axis=1, keepdims=True)
    ).T
    for row, user in enumerate(asking):
        allowed = np.flatnonzero(owners != user)
        ordered = allowed[np.argsort(-cosine[row, allowed], kind="stable")]
        nearest = ordered[:neighbours]
        kept = found.items[row] != NO_ITEM
        assert kept.sum() == len(nearest)
        np.testing.assert_allclose(found.similarities[row, kept], cosine[row, nearest], atol=2e-3)
        assert not set(found.items[row, kept] - 100) & set(np.flatnonzero(owners == user))
        # Float16 keys may swap entries of nearly equal distance; all others keep their place.
        gaps = np.concatenate([[np.inf], -np.diff(cosine[row, ordered]), [np.inf]])
        distinct = (np.minimum(gaps[:-1], gaps[1:]) > 4e-3)[: len(nearest)]
        np.testing.assert_array_equal(found.items[row, kept][distinct], nearest[distinct] + 100)


def test_keys_in_blocks_are_those_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    whole, states, _ = make(0, 30, 3, 4)
    query = Query(states.astype(np.float32), np.full(30, ANONYMOUS), [np.array([0])] * 30)
    expected = whole.retrieve(query)
    for module in ("datastore", "nearest_keys"):
        monkeypatch.setattr(f"hierrec.rag.{module}.BLOCK", 7)
    blocks = make(0, 30, 3, 4)[0]
    np.testing.assert_array_equal(blocks.keys, whole.keys)
    np.testing.assert_array_equal(blocks.retrieve(query).items, expected.items)


def test_equal_similarities_go_by_entry() -> None:
    taken = np.random.default_rng(0).integers(2, size=60)  # 60 users of one state and two entries each
    owners, items = np.arange(120) // 2, np.stack([taken, 100 + np.arange(60)], 1).ravel()
    datastore = Datastore.of(
        np.ones((120, 6)), items, owners, Lookup(shortlist=80, overlap=0.5, neighbours=40, following=1, preceding=0)
    )
    query = Query(np.ones((1, 6), np.float32), np.array([ANONYMOUS]), [np.array([1])])
    found = datastore.retrieve(query)
    alike = 1 + 2 * np.flatnonzero(taken[:40])  # second entries of users who took item 1, among the first 80
    expected = np.concatenate([alike, np.setdiff1d(np.arange(80), alike)])[:40]
    np.testing.assert_array_equal(found.items[0], items[expected])
    np.testing.assert_array_equal(found.origins[0], owners[expected])


def test_takes_what_came_around_the_prefix_and_never_another_users_items() -> None:
    states = np.eye(6)  # users 7 and 8, three prefixes each
    owners, items = np.array([7, 7, 7, 8, 8, 8]), np.array([10, 11, 12, 20, 21, 22])
    datastore = Datastore.of(
        states, items, owners, Lookup(shortlist=4, overlap=0.0, neighbours=2, following=3, preceding=2)
    )
    query = states[1] + 0.5 * states[4]  # nearest: the second prefix of user 7, then that of user 8
    found = datastore.retrieve(Query(query[None].astype(np.float32), np.array([ANONYMOUS]), [np.array([0])]))
    assert found.items.tolist() == [[11, 21, 12, 22, NO_ITEM, NO_ITEM, 10, 20, NO_ITEM, NO_ITEM]]
    assert found.ages.tolist() == [0, 0, 1, 1, 2, 2, -1, -1, -2, -2]
    assert found.origins[0, :4].tolist() == [7, 8, 7, 8]
    np.testing.assert_allclose(found.similarities[0], [0.894, 0.447] * 5, atol=1e-3)


def test_the_shortlist_is_ranked_by_states_and_histories_together() -> None:
    states = np.tile([[1.0, 0.0], [0.9, 0.1], [0.8, 0.2]], (2, 1))  # users 7 and 8
    owners, items = np.array([7, 7, 7, 8, 8, 8]), np.array([10, 11, 12, 20, 21, 22])
    query = Query(np.array([[1.0, 0.0]], np.float32), np.array([ANONYMOUS]), [np.array([5, 20, 21])])
    by_states = Datastore.of(
        states, items, owners, Lookup(shortlist=6, overlap=0.0, neighbours=2, following=1, preceding=0)
    ).retrieve(query)
    assert by_states.items.tolist() == [[10, 20]]
    together = Datastore.of(
        states, items, owners, Lookup(shortlist=6, overlap=0.5, neighbours=2, following=1, preceding=0)
    ).retrieve(query)
    assert together.items.tolist() == [[22, 21]]  # users who had 20 and 21, and 20
    short = Datastore.of(
        states, items, owners, Lookup(shortlist=2, overlap=0.5, neighbours=2, following=1, preceding=0)
    ).retrieve(query)
    assert sorted(short.items[0]) == [10, 20]  # the others are not on the shortlist


def test_a_large_batch_finds_what_each_user_finds_alone() -> None:
    datastore = make(0, 3000, 50, 40)[0]
    users = np.arange(3 * QUERIES)  # from `QUERIES` on, one matrix product compares all
    states = np.random.default_rng(1).standard_normal((len(users), 6)).astype(np.float32)
    histories = [np.array([100 + user, 200]) for user in users]
    together = datastore.retrieve(Query(states, users, histories))
    for user in users:
        one = slice(user, user + 1)
        alone = datastore.retrieve(Query(states[one], users[one], histories[one]))
        np.testing.assert_array_equal(alone.items[0], together.items[user])


def test_nothing_resembles_an_empty_history() -> None:
    datastore, states, _ = make(0, 30, 3, 4)
    queries = np.stack([np.zeros(6), states[0]]).astype(np.float32)
    found = datastore.retrieve(Query(queries, np.full(2, ANONYMOUS), [np.array([], np.int64), np.array([0])]))
    assert (found.items[0] == NO_ITEM).all()
    assert (found.items[1] != NO_ITEM).all()
    nobody = datastore.retrieve(Query(queries[:1], np.full(1, ANONYMOUS), [np.array([], np.int64)]))
    assert (nobody.items == NO_ITEM).all()


def test_round_trip(tmp_path: Path) -> None:
    datastore, states, _ = make(0, 30, 3, 4)
    datastore.write(tmp_path / "datastore")
    opened = Datastore.open(tmp_path / "datastore", datastore.lookup)
    query = Query(states[:7].astype(np.float32), np.full(7, ANONYMOUS), [np.array([0])] * 7)
    first, second = datastore.retrieve(query), opened.retrieve(query)
    np.testing.assert_array_equal(first.items, second.items)
    np.testing.assert_allclose(first.similarities, second.similarities, atol=1e-3)
    np.testing.assert_array_equal(first.items[:, 0], np.arange(7) + 100)


@pytest.mark.parametrize("name", ["keys.npy", "entries.parquet"])
@pytest.mark.parametrize("content", [None, b"", b"garbage"])
def test_a_damaged_file_is_refused(tmp_path: Path, name: str, content: bytes | None) -> None:
    make(0, 30, 3, 4)[0].write(tmp_path / "datastore")
    (tmp_path / "datastore" / name).unlink()
    if content is not None:
        (tmp_path / "datastore" / name).write_bytes(content)
    with pytest.raises(CheckpointError, match="what to do"):
        Datastore.open(tmp_path / "datastore", Lookup(shortlist=8, overlap=0.0, neighbours=4, following=1, preceding=0))


def test_keys_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    make(0, 30, 3, 4)[0].write(tmp_path / "datastore")
    np.save(tmp_path / "datastore" / "keys.npy", np.zeros((29, 6), np.float16))
    with pytest.raises(CheckpointError, match="30 entries"):
        Datastore.open(tmp_path / "datastore", Lookup(shortlist=8, overlap=0.0, neighbours=4, following=1, preceding=0))


@pytest.mark.parametrize("column", ["next_item", "user"])
def test_entries_that_are_no_rows_are_refused(tmp_path: Path, column: str) -> None:
    make(0, 30, 3, 4)[0].write(tmp_path / "datastore")
    path = tmp_path / "datastore" / "entries.parquet"
    pl.read_parquet(path).with_columns(-pl.col(column)).write_parquet(path)
    with pytest.raises(CheckpointError, match="an entry is negative"):
        Datastore.open(tmp_path / "datastore", Lookup(shortlist=8, overlap=0.0, neighbours=4, following=1, preceding=0))
