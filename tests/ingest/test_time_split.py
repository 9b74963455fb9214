"""A split by time: no part holds interactions after its cut, and the target is the first known item after it."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import polars as pl
import pytest
from hierrec.core.errors import DataError, ParamsError
from hierrec.core.sequences import NO_TARGET, Sequences
from hierrec.ingest.dataset import Dataset, build, refuse_unlearnable
from hierrec.ingest.event_log import EventLog, RawDataset
from hierrec.ingest.look import look
from hierrec.ingest.time_split import TimeSplit
from hypothesis import given
from hypothesis import strategies as st

ITEMS = 8


def data(rows: Sequence[tuple[str, int, float]], cuts: TimeSplit, candidates: str = "interacted") -> Dataset:
    users, items, times = zip(*rows, strict=True)
    interactions = pl.DataFrame(
        {
            "user_id": users,
            "item_id": [str(item) for item in items],
            "timestamp": pl.Series(times),
            "rating": pl.Series([None] * len(rows), dtype=pl.Int8),
        }
    )
    table = pl.DataFrame({"item_id": [str(item) for item in range(ITEMS)]}).with_columns(
        title=pl.lit("x"), year=pl.lit(None, pl.Int32), genres=pl.lit([], pl.List(pl.String))
    )
    raw = RawDataset("toy", None, table, EventLog.of(interactions, table["item_id"]))
    return build(raw, candidates, "keep", cuts)  # type: ignore[arg-type]


ROWS = [
    *[("ann", 0, 1), ("ann", 1, 2), ("ann", 2, 11), ("ann", 3, 21), ("ann", 4, 22)],
    *[("bob", 1, 3), ("bob", 5, 12), ("bob", 6, 23), ("bob", 0, 24)],
    *[("cid", 0, 25), ("cid", 1, 26)],
    *[("dee", 2, 4), ("dee", 3, 5)],
]
CUTS = TimeSplit(10, 20)


def test_the_parts_by_hand() -> None:
    dataset = data(ROWS, CUTS)
    expected = [
        # length before validation, before test, all; targets
        ("ann", 2, 3, 5, 2, 3),
        ("bob", 1, 2, 4, None, 0),  # 5 and 6 were not known before the cuts
        ("cid", 0, 0, 2, None, None),  # a new user
        ("dee", 2, 2, 2, None, None),
    ]
    names = ("train_length", "test_length", "length", "validation", "test")
    found = dataset.users.join(dataset.split, on="user").select("user_id", *names)
    assert found.rows() == expected
    assert dataset.cut["new_users"] == 1
    assert dataset.cut["new_items"] == 2  # 4 and 6; no user has 7
    assert dataset.cut["untrained_targets"] == 0
    late = data([*ROWS, ("eve", 0, 1), ("eve", 5, 21)], CUTS)  # 5 was first taken after the first cut
    assert late.cut["untrained_targets"] == 1
    assert "no training interaction, so that only its text ranks it: 1 of 3 (33%)" in "\n".join(look(late))
    assert dataset.items["candidate"].to_list() == [item in (0, 1, 2, 3, 5) for item in range(ITEMS)]
    assert dataset.items["validation_candidate"].to_list() == [item < 4 for item in range(ITEMS)]
    assert dataset.counts["interactions"] == len(ROWS)


def test_all_targets_by_hand() -> None:
    dataset = data(ROWS, TimeSplit(10, 20, every_target=True))
    found = dataset.users.join(dataset.split, on="user").select("user_id", "validation_positions", "test_positions")
    assert found.rows() == [("ann", [2], [3]), ("bob", [], [3]), ("cid", [], []), ("dee", [], [])]
    assert (dataset.cut["validation_targets"], dataset.cut["test_targets"]) == (1, 2)
    first = data(ROWS, CUTS)
    assert dataset.split.select(first.split.columns).equals(first.split)
    assert dataset.items.equals(first.items)


def test_the_cuts_are_shown_as_dates() -> None:
    day = 86_400.0
    rows = [(user, item, 1e9 + time * day) for user, item, time in ROWS]
    shown = next(line for line in look(data(rows, TimeSplit(1e9 + 10 * day, "2001-09-29"))) if line.startswith("cut"))
    assert "test from 2001-09-29 00:00:00" in shown
    assert "validation from 2001-09-19 01:46:40 (" in shown
    assert "(2 targets)" in shown


def test_with_all_candidates_an_unknown_item_is_a_target() -> None:
    split = data(ROWS, CUTS, "all").split
    assert split["validation"].to_list() == [2, 5, None, None]
    assert split["test"].to_list() == [3, 6, None, None]


@given(
    st.lists(
        st.tuples(st.sampled_from("abcdefgh"), st.integers(0, ITEMS - 1), st.integers(0, 99)),
        min_size=8,
        max_size=60,
    ),
    st.lists(st.integers(1, 99), min_size=2, max_size=2, unique=True).map(sorted),
    st.booleans(),
)
def test_nothing_behind_a_cut_is_seen(rows: list[tuple[str, int, float]], cuts: list[int], every_target: bool) -> None:
    first, second = cuts
    try:
        dataset = data(rows, TimeSplit(first, second, every_target))
    except (ParamsError, DataError):
        return
    sequences = Sequences.from_tables([dataset.interactions], dataset.split)
    times = pl.concat(dataset.events)["timestamp"].to_numpy()
    for user in range(sequences.user_count):
        start, stop = sequences.offsets[user : user + 2]
        own, items = times[start:stop], sequences.items[start:stop]
        assert sequences.train_length[user] == (own < first).sum()
        own_rows = np.flatnonzero(sequences.owners == user)
        for targets, histories, low, high in (
            (sequences.validation, sequences.validation_histories(), first, second),
            (sequences.test, sequences.test_histories(), second, np.inf),
        ):
            known = {item for _, item, time in rows if time < low}
            later = np.flatnonzero((own >= low) & (own < high))
            expected = [place for place in later if items[place] in known and own.min() < low]
            found = [row for row in own_rows if targets[row] != NO_TARGET]
            ends = expected if every_target else [int((own < low).sum())] * bool(expected)
            assert [targets[row] for row in found] == [items[place] for place in expected[: len(ends)]]
            assert [histories[row].tolist() for row in found] == [items[:end].tolist() for end in ends]
    before = {item for _, item, time in rows if time < second}
    assert set(np.flatnonzero(dataset.items["candidate"].to_numpy()).tolist()) == before


def test_what_comes_behind_the_cut_changes_nothing_before_it() -> None:
    other = [(user, 7 if time > 20 else item, time) for user, item, time in ROWS]
    first, second = data(ROWS, CUTS), data(other, CUTS)
    names = ["train_length", "test_length", "validation"]
    assert first.split.select(names).equals(second.split.select(names))
    assert first.items.equals(second.items)


@pytest.mark.parametrize("cuts", [TimeSplit("2001-09-09T01:46:50", "2001-09-09T01:47:00"), TimeSplit(0.4, 0.55)])
def test_a_cut_is_a_date_or_a_share(cuts: TimeSplit) -> None:
    rows = [(user, item, time + 10**9) for user, item, time in ROWS]
    dataset = data(rows, cuts)
    assert dataset.split["train_length"].to_list() == data(ROWS, CUTS).split["train_length"].to_list()
    if isinstance(cuts.test_from, str):
        assert dataset.cut["test_from"] == 10**9 + 20


@pytest.mark.parametrize(
    ("cuts", "message"),
    [
        (
            TimeSplit(20, 10),
            "(?s)20 and 10 do not lie one after the other.*validation_from is the earlier cut",
        ),
        (TimeSplit(10, 100), "(?s)one after the other.*choose cuts within these times"),
        (TimeSplit(20, 20), "further apart"),
        (TimeSplit("2011-10-01", 20), "do not look like times"),
    ],
)
def test_an_impossible_cut_is_refused(cuts: TimeSplit, message: str) -> None:
    with pytest.raises(ParamsError, match=message):
        data(ROWS, cuts)


def test_the_marks_of_the_split_are_no_text() -> None:
    dataset = data(ROWS, CUTS)
    bare = dataclasses.replace(dataset, items=dataset.items.with_columns(title=pl.lit(None, pl.String)))
    assert f"items with text: 0 of {ITEMS} (0%)" in look(bare)


def test_without_a_target_there_is_nothing_to_measure() -> None:
    with pytest.raises(DataError, match="before the cut of the validation"):
        refuse_unlearnable(data([("ann", 0, 1), ("ann", 1, 2), ("bob", 2, 30), ("cid", 3, 15)], CUTS))


def test_one_candidate_has_no_order() -> None:
    rows = [("ann", 0, time) for time in range(9)]
    with pytest.raises(DataError, match="fewer than 2 items may be ranked"):
        refuse_unlearnable(data(rows, TimeSplit(4.0, 7.0)))
