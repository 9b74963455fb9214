"""Sessions of a split by time: where they start, and which data has them."""

import numpy as np
import polars as pl
from hierrec.data.sequences import GAPS, Sequences
from hierrec.ingest.sessions import DISTANCE, session_gap
from hierrec.ingest.time_split import TimeSplit
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ks_2samp

from tests.ingest.test_time_split import data

gaps = st.lists(st.integers(1, GAPS - 1), min_size=1, max_size=40)


@given(gaps, gaps)
def test_the_distance_is_that_of_kolmogorov_and_smirnov(training: list[int], targets: list[int]) -> None:
    found = session_gap(np.array(training, np.int8), np.array(targets, np.int8))
    distance: float = ks_2samp(training, targets, alternative="greater").statistic  # pyright: ignore[reportAttributeAccessIssue]
    if abs(distance - DISTANCE) > 1e-9:  # else rounding decides
        assert (found is not None) == (distance > DISTANCE)
    if found is not None:
        assert np.mean(np.array(targets) >= found) - np.mean(np.array(training) >= found) >= distance - 1e-9


def test_without_targets_there_are_no_sessions() -> None:
    assert session_gap(np.ones(3, np.int8), np.empty(0, np.int8)) is None


# Visits of two items each; the cuts lie between visits.
VISITS = [(user, item % 4, day) for user in "abc" for item, day in enumerate((1, 1, 60, 60, 120, 120, 180))]


def test_the_first_item_of_each_later_visit_starts_a_session() -> None:
    dataset = data(VISITS, TimeSplit(100, 150))
    assert dataset.split["session_starts"].to_list() == [[2, 4, 6]] * 3
    assert dataset.cut["sessions"] == 12
    sequences = Sequences.from_tables([dataset.interactions], dataset.split)
    assert sequences.starts.reshape(3, -1).tolist() == [[False, False, True, False, True, False, True]] * 3
    assert (sequences.whole().starts == sequences.starts).all()


def test_data_whose_targets_follow_as_training_items_do_has_no_sessions() -> None:
    every_target = data(VISITS, TimeSplit(100, 150, every_target=True))
    assert "session_starts" not in every_target.split.columns  # half of the targets lie within a visit
    evenly = [(user, item, 10 * item + 1) for user in "abc" for item in range(8)]
    assert "sessions" not in data(evenly, TimeSplit(45, 65)).cut


def test_other_items_than_targets_decide_nothing() -> None:
    later = [row for row in VISITS if row[2] < 150] + [
        (user, 0, 151 + day) for user in "abc" for day in (0, 9)
    ]
    columns = pl.col("session_starts").list.head(2)
    splits = [data(rows, TimeSplit(100, 150)).split.select(columns) for rows in (VISITS, later)]
    assert splits[0].equals(splits[1])
