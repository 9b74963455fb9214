"""Source `history`: the user's own items, the latest first; only where items are taken again."""

import numpy as np
import pytest
import torch
from hierrec.core.errors import ParamsError
from hierrec.model.sources import NO_ITEM, Query
from hierrec.rag.fusion import Fusion, initial_values
from hierrec.rag.similar_items import LATEST, OwnHistory
from hypothesis import given
from hypothesis import strategies as st

from tests.rag.test_fusion import PARAMS


def query(*histories: list[int]) -> Query:
    rows = [np.array(history, np.int64) for history in histories]
    return Query(np.zeros((len(rows), 1), np.float32), np.arange(len(rows)), rows)


@given(st.lists(st.lists(st.integers(0, 9), max_size=LATEST + 5), min_size=1, max_size=4))
def test_it_retrieves_the_latest_items(histories: list[list[int]]) -> None:
    found = OwnHistory().retrieve(query(*histories))
    assert found.ages.tolist() == list(range(LATEST))
    for history, items, similarities in zip(histories, found.items, found.similarities, strict=True):
        there = items != NO_ITEM
        assert items[there].tolist() == history[::-1][:LATEST]
        again = sum(item in history[:place] for place, item in enumerate(history))
        assert similarities[there] == pytest.approx(again / max(1, len(history)))


def test_older_items_share_a_weight_with_those_up_to_twice_as_old() -> None:
    start = initial_values(PARAMS.model_copy(update={"sources": ("history",)}))[0]
    bins = start.bins(torch.arange(LATEST, dtype=torch.float32)).tolist()
    assert bins == [(age + 1).bit_length() - 1 for age in range(LATEST)]
    assert len(start.log_weights()) == bins[-1] + 1


def test_an_item_that_was_taken_twice_has_two_shares() -> None:
    fusion = Fusion(initial_values(PARAMS.model_copy(update={"sources": ("history",)})), np.ones(9, np.int64))
    found = OwnHistory().retrieve(query([4, 7, 4]))
    with torch.no_grad():
        fusion.age_weights[0].zero_()
        mixture = fusion(torch.zeros(1, 9), query([4, 7, 4]), [found])
    assert mixture.weights[0][0, :3].tolist() == pytest.approx([1 / 3] * 3)
    share = (mixture.scores[0].exp() - mixture.shares[0, 0] / 9) / mixture.shares[0, 1]
    assert share[[4, 7]].tolist() == pytest.approx([2 / 3, 1 / 3], abs=1e-6)


def test_data_without_repeats_has_no_such_source() -> None:
    params = PARAMS.model_copy(update={"sources": ("history", "items")})
    assert params.for_data(repeated=True, timed=False).sources == ("history", "items")
    assert params.for_data(repeated=False, timed=False).sources == ("items",)
    with pytest.raises(ParamsError, match=r"fusion\.sources"):
        params.model_copy(update={"sources": ("history",)}).for_data(repeated=False, timed=True)
