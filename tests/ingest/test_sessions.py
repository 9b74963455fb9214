"""Sessions of a split by time: where they start, and which data has them."""

import numpy as np
import polars as pl
import pytest
from hierrec.core.errors import DataError
from hierrec.core.sequences import GAP_BUCKETS, Sequences
from hierrec.ingest.time_split import DISTANCE, TimeSplit, session_gap
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.stats import ks_2samp

from tests.ingest.test_time_split import data

gaps = st.lists(st.integers(1, GAP_BUCKETS - 1), min_size=1, max_size=40)


@given(gaps, gaps)
def test_the_distance_is_that_of_kolmogorov_and_smirnov(training: list[int], targets: list[int]) -> None:
    followed, before = np.array(training, np.int8), np.array(targets, np.int8)
    excess = [np.mean(before >= gap) - np.mean(followed >= gap) for gap in range(GAP_BUCKETS)]
    statistic: float = ks_2samp(training, targets, alternative="greater").statistic  # pyright: ignore[reportAttributeAccessIssue]
    assert max(excess) == pytest.approx(statistic)
    assume(abs(max(excess) - DISTANCE) > 1e-9)  # else rounding decides
    found = session_gap(followed, before, np.ones(len(followed)))
    if found is None:
        best = np.flatnonzero(np.isclose(excess, max(excess)))
        assert max(excess) < DISTANCE or (followed >= best[-1]).sum() < len(before)
    else:
        assert excess[found] == pytest.approx(max(excess))
        assert (followed >= found).sum() >= len(before)


def test_without_targets_there_are_no_sessions() -> None:
    assert session_gap(np.ones(3, np.int8), np.empty(0, np.int8), np.ones(3)) is None


def test_the_model_needs_as_many_starts_as_there_are_targets() -> None:
    targets, ties = np.full(3, 9, np.int8), [1] * 20
    for starts in (2, 3):
        training = np.array(ties + [9] * starts, np.int8)
        assert (session_gap(training, targets, np.ones(len(training))) is None) == (starts < 3)


def test_users_with_many_items_are_no_sessions() -> None:
    """Users come at even rates, some much more often. Short gaps precede most items, but not for most users."""
    generator = np.random.default_rng(0)
    rows = []
    for user, rate in enumerate(generator.lognormal(-4, 1.5, 300)):
        times = generator.exponential(1 / rate, int(rate * 3000) + 1).cumsum()
        rows += [(f"u{user}", int(generator.integers(8)), int(1e6 * time)) for time in times if time < 1000]
    assert "sessions" not in data(rows, TimeSplit(800_000_000, 900_000_000)).cut


# Visits of two items each; the cuts lie between visits.
VISITS = [(user, item % 4, day) for user in "abc" for item, day in enumerate((1, 1, 60, 60, 120, 120, 180))]


def test_the_first_item_of_each_later_visit_starts_a_session() -> None:
    dataset = data(VISITS, TimeSplit(100, 150))
    assert dataset.split["session_starts"].to_list() == [[2, 4, 6]] * 3
    assert dataset.cut["sessions"] == 12
    sequences = Sequences.from_tables([dataset.interactions], dataset.split)
    assert sequences.session_starts.reshape(3, -1).tolist() == [[False, False, True, False, True, False, True]] * 3
    assert (sequences.whole().session_starts == sequences.session_starts).all()


def test_data_whose_targets_follow_as_training_items_do_has_no_sessions() -> None:
    every_target = data(VISITS, TimeSplit(100, 150, every_target=True))
    assert "session_starts" not in every_target.split.columns  # half of the targets lie within a visit
    evenly = [(user, item, 10 * item + 1) for user in "abc" for item in range(8)]
    assert "sessions" not in data(evenly, TimeSplit(45, 65)).cut


def test_the_gaps_before_test_targets_decide_nothing() -> None:
    rows = [(user, item, 10 * item + 1) for user in "abc" for item in range(6)]
    rows += [(user, item, 1000 * item) for user in "abc" for item in (6, 7)]
    dataset = data(rows, TimeSplit(45, 65), "all")
    assert dataset.cut["test_targets"] == 3
    assert "sessions" not in dataset.cut


@pytest.mark.parametrize("positions", [[[7]], [[-1]]])
def test_a_start_outside_the_items_is_refused(positions: list[list[int]]) -> None:
    dataset = data(VISITS, TimeSplit(100, 150))
    broken = dataset.split.with_columns(session_starts=pl.Series(positions * 3, dtype=pl.List(pl.Int32)))
    with pytest.raises(DataError, match="session_starts, user 0"):
        Sequences.from_tables([dataset.interactions], broken)
