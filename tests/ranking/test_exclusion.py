"""The mask of excluded items."""

import numpy as np
from hierrec.ranking.ranking import excluded_items
from hypothesis import given
from hypothesis import strategies as st

ITEMS = 9
histories = st.lists(
    st.lists(st.integers(0, ITEMS - 1), max_size=12).map(lambda items: np.array(items, np.int64)), min_size=1
)
candidates = st.lists(st.booleans(), min_size=ITEMS, max_size=ITEMS).map(np.array)


@given(histories, candidates)
def test_an_item_is_excluded_if_it_is_no_candidate_or_in_the_history(
    users: list[np.ndarray], allowed: np.ndarray
) -> None:
    excluded = excluded_items(users, allowed)
    expected = [[not allowed[item] or item in history for item in range(ITEMS)] for history in users]
    assert excluded.tolist() == expected


def test_the_candidates_are_left_as_they_were() -> None:
    allowed = np.ones(3, np.bool_)
    excluded_items([np.array([1])], allowed)
    assert allowed.all()
