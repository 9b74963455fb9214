"""Groups of users and of items."""

import numpy as np
from hierrec.evaluation.ranks import history_groups, popularity_groups
from hypothesis import given
from hypothesis import strategies as st

numbers = st.lists(st.integers(0, 30), min_size=1, max_size=60).map(np.array)


def test_history_groups_worked_by_hand() -> None:
    assert history_groups(np.array([90, 20, 50, 21, 60, 400])).tolist() == [2, 0, 1, 0, 1, 2]
    assert history_groups(np.array([7, 7, 7])).tolist() == [0, 0, 0]
    assert history_groups(np.array([], np.int64)).tolist() == []


@given(numbers)
def test_longer_histories_are_never_in_a_shorter_group(lengths: np.ndarray) -> None:
    groups = history_groups(lengths)
    assert set(groups) <= {0, 1, 2}
    in_order = groups[np.argsort(lengths, kind="stable")]
    assert (np.diff(in_order) >= 0).all()
    assert all(len(set(groups[lengths == length])) == 1 for length in lengths)


@given(st.integers(1, 40))
def test_different_lengths_fall_into_thirds(users: int) -> None:
    sizes = np.bincount(history_groups(np.arange(users)), minlength=3)
    assert max(sizes) - min(sizes) <= 1


def test_popularity_groups_worked_by_hand() -> None:
    # 12 interactions: the most frequent item alone is the first third; items without training are tail.
    assert popularity_groups(np.array([1, 4, 2, 0, 2, 1, 2])).tolist() == [2, 0, 1, 2, 1, 2, 2]


@given(numbers.filter(np.any))
def test_frequent_items_come_first_and_no_more_of_them_than_a_third_needs(counts: np.ndarray) -> None:
    groups = popularity_groups(counts)
    assert set(groups) <= {0, 1, 2}
    for group in (1, 2):
        before, after = counts[groups < group], counts[groups >= group]
        assert 3 * before.sum() >= group * counts.sum() > 3 * (before.sum() - before.min())
        assert before.min() >= after.max(initial=0)
