"""Source `trending` counts what was taken before a query's time, and nothing else."""

import copy
from collections import Counter
from dataclasses import replace
from math import log

import numpy as np
import polars as pl
import pytest
import torch
from hierrec.core.errors import DataError
from hierrec.core.sequences import Sequences
from hierrec.model.sources import ANONYMOUS, NO_ITEM, Query
from hierrec.rag.fusion import Fusion, initial_values
from hierrec.rag.trends import FEATURES, LATEST, PER_WINDOW, STEPS, WINDOWS, Trends, taken
from hypothesis import assume, given, reject
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.model.world import make_sequences
from tests.rag.test_fusion import PARAMS

ITEMS = 6
histories = st.lists(
    st.lists(st.tuples(st.integers(0, ITEMS - 1), st.integers(0, 9)), min_size=3, max_size=9),
    min_size=1,
    max_size=5,
)


def timed(users: list[list[tuple[int, int]]]) -> tuple[Sequences, NDArray[np.int64]]:
    """Return leave-one-out sequences of (item, time), and the times."""
    ordered = [sorted(events, key=lambda event: event[1]) for events in users]
    times = np.array([time for events in ordered for _, time in events])
    clock = np.searchsorted(np.sort(times), times).astype(np.int32)
    if not clock.any():
        reject()
    sequences = make_sequences([np.array([item for item, _ in events]) for events in ordered])
    return sequences.with_times("clock", clock), times


def log_before(sequences: Sequences, times: NDArray[np.int64], moment: float) -> list[int]:
    """Return the training items taken before a moment: by time, then by user and position."""
    events = [
        (times[place], place)
        for user in range(sequences.user_count)
        for place in range(sequences.offsets[user], sequences.offsets[user] + sequences.train_length[user])
        if times[place] < moment
    ]
    return [int(sequences.items[place]) for _, place in sorted(events)]


def ask(sequences: Sequences) -> Query:
    """Return every user after the history of the test."""
    rows = sequences.test_histories()
    return Query(np.zeros((len(rows), 1), np.float32), np.arange(len(rows)), rows)


@given(histories, st.sampled_from([ITEMS, 3 * STEPS]))
def test_it_retrieves_what_a_naive_count_finds_before_the_latest_item(
    users: list[list[tuple[int, int]]], item_count: int
) -> None:
    sequences, times = timed(users)
    query, source = ask(sequences), Trends(sequences, item_count)
    step = max(1, item_count // STEPS)
    found = source.retrieve(query)
    assert found.ages.tolist() == [window for window in range(len(WINDOWS)) for _ in range(PER_WINDOW)]
    assert found.similarities.max() <= 1
    for user, history in enumerate(query.histories):
        moment = float(times[sequences.offsets[user] + len(history) - 1])
        before = log_before(sequences, times, moment)
        assert source.before(query)[user] == len(before)
        if len(before) < sequences.train_length.sum():
            before = before[: len(before) // step * step]
        for window, share in enumerate(WINDOWS):
            counts = Counter(before[-max(1, round(share * item_count)) :])
            expected = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
            part = slice(window * PER_WINDOW, (window + 1) * PER_WINDOW)
            items, similarities = found.items[user, part], found.similarities[user, part]
            there = items != NO_ITEM
            assert items[there].tolist() == [item for item, _ in expected]
            assert [taken(value) for value in similarities[there]] == pytest.approx(
                [count for _, count in expected], rel=1e-4
            )


@given(histories)
def test_the_evidence_is_that_of_a_naive_search(users: list[list[tuple[int, int]]]) -> None:
    sequences, times = timed(users)
    query, source = ask(sequences), Trends(sequences, ITEMS)
    before = source.before(query)
    evidence = source.evidence(before.repeat(ITEMS), np.tile(np.arange(ITEMS), len(query)))
    assert evidence.shape == (FEATURES, len(query) * ITEMS)
    for user in range(len(query)):
        moment = float(times[sequences.offsets[user] + len(query.histories[user]) - 1])
        past = log_before(sequences, times, moment)
        for item in range(ITEMS):
            places = [place for place, other in enumerate(past) if other == item]
            ages = [len(past) - (places[-k] if k <= len(places) else -ITEMS) for k in LATEST]
            expected = [*(log(1 + 4 * age / ITEMS) / 2 for age in ages), log(1 + len(places)) / 3]
            np.testing.assert_allclose(evidence[:, user * ITEMS + item], expected, rtol=1e-5, atol=1e-6)


@given(histories, st.integers(0, ITEMS - 1))
def test_targets_and_what_others_take_later_change_nothing(users: list[list[tuple[int, int]]], other: int) -> None:
    sequences, times = timed(users)
    query = ask(sequences)
    before = Trends(sequences, ITEMS).retrieve(query)
    items = sequences.items.copy()
    latest = times[sequences.offsets[:-1] + sequences.test_length - 1].max()
    later = times >= latest
    later[sequences.offsets[1:] - 1] = True  # test targets
    items[later] = other
    after = Trends(replace(sequences, items=items), ITEMS).retrieve(query)
    np.testing.assert_array_equal(before.items, after.items)
    np.testing.assert_array_equal(before.similarities, after.similarities)


@given(histories, st.data())
def test_the_time_of_a_target_changes_nothing(users: list[list[tuple[int, int]]], data: st.DataObject) -> None:
    sequences, times = timed(users)
    before = Trends(sequences, ITEMS).retrieve(ask(sequences))
    moved = times.copy()
    for target in sequences.offsets[1:] - 1:  # the last item of each user stays the last
        moved[target] = data.draw(st.integers(int(times[target - 1]), 12))
    clock = np.searchsorted(np.sort(moved), moved).astype(np.int32)
    assume(clock.any())
    after = Trends(sequences.with_times("clock", clock), ITEMS).retrieve(ask(sequences))
    np.testing.assert_array_equal(before.items, after.items)
    np.testing.assert_array_equal(before.similarities, after.similarities)


def test_where_all_targets_come_later_and_for_strangers_every_training_item_counts() -> None:
    sequences, _ = timed([[(0, 1), (1, 2), (2, 3), (3, 4)], [(4, 5), (4, 6), (5, 7), (5, 8)]])
    query = ask(sequences)
    assert Trends(sequences, ITEMS).before(query).tolist() == [2, 4]
    assert Trends(sequences.before_test(), ITEMS).before(query).tolist() == [2, 5]
    assert Trends(replace(sequences, one_cut=True), ITEMS).before(query).tolist() == [4, 4]
    assert Trends(sequences.whole(), ITEMS).before(query).tolist() == [8, 8]
    tables = (
        pl.DataFrame({"user": [0, 1], "item": [0, 1]}),
        pl.DataFrame(
            {"user": [0, 1], "train_length": [1, 1], "validation": [None, None], "test": [None, None]},
            {"user": pl.Int32, "train_length": pl.Int32, "validation": pl.Int32, "test": pl.Int32},
        ),
    )
    assert Sequences.from_tables([tables[0]], tables[1]).one_cut  # grown by `hierrec update`
    stranger = replace(query, users=np.full(2, ANONYMOUS))
    longer = replace(query, histories=[np.arange(5), np.arange(0)])
    for unknown in (stranger, longer):
        assert Trends(sequences, ITEMS).before(unknown).tolist() == [4, 4]


def test_the_fusion_reads_the_evidence_of_each_pair() -> None:
    sequences, _ = timed([[(item, item) for item in range(ITEMS)]] * 2)
    trends, query = Trends(sequences, ITEMS), ask(sequences)
    params = PARAMS.model_copy(update={"sources": ("trending",)})
    assert params.for_data(sequences.repeated, sequences.has_clock) == params
    fusion = Fusion(initial_values(params), sequences.training_counts(ITEMS), trends=trends)
    assert copy.deepcopy(fusion).trends is trends
    with torch.no_grad():
        for parameter in (fusion.hidden.weight, fusion.hidden.bias, fusion.correction.weight):
            parameter.zero_()
        fusion.hidden.weight[0, -1] = fusion.correction.weight[0, 0] = 1  # reads the number of interactions
        mixed = fusion(torch.zeros(2, ITEMS), query, [found := trends.retrieve(query)])
        fusion.correction.weight.zero_()
        plain = fusion(torch.zeros(2, ITEMS), query, [found])
    gains = (mixed.scores - plain.scores)[0]
    evidence = torch.from_numpy(trends.evidence(trends.before(query)[[0] * ITEMS], np.arange(ITEMS)))[-1]
    retrieved = np.isin(np.arange(ITEMS), found.items[0])
    expected = torch.nn.functional.gelu(evidence) * torch.from_numpy(retrieved)
    torch.testing.assert_close(gains - gains[-1], expected - expected[-1])


def test_data_without_times_has_no_such_source() -> None:
    sequences = make_sequences([np.arange(4)])
    params = PARAMS.model_copy(update={"sources": ("items", "trending")})
    assert params.for_data(sequences.repeated, sequences.has_clock).sources == ("items",)
    with pytest.raises(DataError, match=r"clock\.parquet"):
        Trends(sequences, ITEMS)
