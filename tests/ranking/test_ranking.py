"""Ranks against a naive loop, and worked by hand."""

import math

import pytest
import torch
from hierrec.core.errors import NumericalError
from hierrec.ranking.ranking import mean_ranks
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor


def naive_rank(scores: list[float], target: int, excluded: list[bool]) -> float:
    """Mean position of the target's score in the sorted list of ranked scores."""
    if excluded[target]:
        return math.inf
    ordered = sorted((score for score, out in zip(scores, excluded, strict=True) if not out), reverse=True)
    positions = [place for place, score in enumerate(ordered, start=1) if score == scores[target]]
    return sum(positions) / len(positions)


@st.composite
def batches(draw: st.DrawFn) -> tuple[Tensor, Tensor, Tensor]:
    rows, columns = draw(st.integers(1, 4)), draw(st.integers(1, 12))
    # Few distinct values, so that ties are common.
    values = st.sampled_from([-math.inf, -1.0, 0.0, 0.5, 2.0])
    scores = draw(st.lists(st.lists(values, min_size=columns, max_size=columns), min_size=rows, max_size=rows))
    excluded = draw(st.lists(st.lists(st.booleans(), min_size=columns, max_size=columns), min_size=rows, max_size=rows))
    target = draw(st.lists(st.integers(0, columns - 1), min_size=rows, max_size=rows))
    dtype = draw(st.sampled_from([torch.float32, torch.float64]))
    return torch.tensor(scores, dtype=dtype), torch.tensor(target), torch.tensor(excluded)


@given(batches())
def test_equals_a_naive_loop(batch: tuple[Tensor, Tensor, Tensor]) -> None:
    scores, target, excluded = batch
    expected = [naive_rank(*row) for row in zip(scores.tolist(), target.tolist(), excluded.tolist(), strict=True)]
    ranks = mean_ranks(scores, target, excluded)
    assert ranks.dtype == torch.float64
    assert ranks.tolist() == expected


@given(batches())
def test_rows_do_not_depend_on_their_batch(batch: tuple[Tensor, Tensor, Tensor]) -> None:
    scores, target, excluded = batch
    alone = [mean_ranks(scores[[b]], target[[b]], excluded[[b]]).item() for b in range(len(scores))]
    assert mean_ranks(scores, target, excluded).tolist() == alone


def test_worked_by_hand() -> None:
    scores = torch.tensor([[0.1, 0.9, 0.5, 0.5, 0.5]]).repeat(4, 1)
    excluded = torch.tensor(
        [
            [False, False, False, False, False],  # 0.9, then three at 0.5 that share ranks 2, 3, 4
            [False, True, False, False, False],  # the best is out: they share 1, 2, 3
            [False, True, False, True, True],  # alone at the top
            [False, False, True, False, False],  # the target itself is out
        ]
    )
    ranks = mean_ranks(scores, torch.tensor([2, 2, 2, 2]), excluded)
    assert ranks.tolist() == [3.0, 2.0, 1.0, math.inf]


def test_equal_scores_rank_like_chance() -> None:
    ranks = mean_ranks(torch.zeros(1, 101), torch.tensor([0]))
    assert ranks.item() == 51.0


def test_nan_is_refused_where_it_would_be_ranked() -> None:
    scores = torch.tensor([[0.0, 1.0, 2.0], [0.0, math.nan, 2.0]])
    target = torch.tensor([0, 0])
    with pytest.raises(NumericalError, match=r"row 1.*candidate 1 is NaN"):
        mean_ranks(scores, target)
    excluded = torch.tensor([[False, False, False], [False, True, False]])
    assert mean_ranks(scores, target, excluded).tolist() == [3.0, 2.0]
