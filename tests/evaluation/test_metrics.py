"""Metrics worked by hand, and against ranx."""

import math

import numpy as np
import pytest
import torch
from hierrec.errors import DataError
from hierrec.evaluation.metrics import metrics_from_ranks
from hierrec.evaluation.ranking import mean_ranks
from hypothesis import given
from hypothesis import strategies as st


def test_worked_by_hand() -> None:
    metrics = metrics_from_ranks([1, 3, 15, 21])
    assert metrics == pytest.approx(
        {
            "ndcg@10": (1 + 1 / 2) / 4,
            "ndcg@20": (1 + 1 / 2 + 1 / 4) / 4,
            "recall@10": 2 / 4,
            "recall@20": 3 / 4,
        }
    )


def test_a_tie_across_the_cutoff_is_outside_it() -> None:
    metrics = metrics_from_ranks([10.5])
    assert metrics["recall@10"] == metrics["ndcg@10"] == 0
    assert metrics["ndcg@20"] == pytest.approx(1 / math.log2(11.5))


def test_a_target_that_was_not_ranked_is_a_miss() -> None:
    assert set(metrics_from_ranks([math.inf]).values()) == {0.0}


@given(st.lists(st.integers(2, 80).map(lambda halves: halves / 2), min_size=1, max_size=30))
def test_bounds_and_growth(ranks: list[float]) -> None:
    metrics = metrics_from_ranks(ranks)
    assert 0 <= metrics["ndcg@10"] <= metrics["recall@10"] <= 1
    assert metrics["ndcg@10"] <= metrics["ndcg@20"]
    assert metrics["recall@10"] <= metrics["recall@20"]
    better = metrics_from_ranks([max(1, rank - 1) for rank in ranks])
    assert all(better[name] >= metrics[name] for name in metrics)


@pytest.mark.parametrize("ranks", [[], [1.0, math.nan], [0.5]])
def test_what_is_no_rank_is_refused(ranks: list[float]) -> None:
    with pytest.raises(DataError):
        metrics_from_ranks(ranks)


def test_equals_ranx() -> None:
    from ranx import Qrels, Run, evaluate

    users, items = 60, 40
    rng = np.random.default_rng(0)
    # No ties: ranx breaks them its own way.
    scores = rng.permuted(np.tile(np.arange(items), (users, 1)), axis=1)
    target = rng.integers(items, size=users)
    qrels = Qrels({f"u{u}": {f"i{target[u]}": 1} for u in range(users)})
    run = Run({f"u{u}": {f"i{i}": float(scores[u, i]) for i in range(items)} for u in range(users)})
    expected = evaluate(qrels, run, ["ndcg@10", "ndcg@20", "recall@10", "recall@20"])

    ranks = mean_ranks(torch.from_numpy(scores).double(), torch.from_numpy(target))
    assert metrics_from_ranks(ranks) == pytest.approx(expected)
