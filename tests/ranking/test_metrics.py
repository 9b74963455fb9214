"""Metrics worked by hand, and against ranx."""

import math

import numpy as np
import pytest
import torch
from hierrec.core.errors import DataError
from hierrec.ranking.metrics import metrics_by_target, metrics_from_ranks
from hierrec.ranking.ranking import mean_ranks
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


@pytest.mark.parametrize(
    ("ranks", "message"), [([], "nothing to evaluate"), ([1.0, math.nan], "ranks, row 1: nan"), ([0.5], "row 0: 0.5")]
)
def test_what_is_no_rank_is_refused(ranks: list[float], message: str) -> None:
    with pytest.raises(DataError, match=message):
        metrics_from_ranks(ranks)


def naive_metrics(scores: list[float], target: int) -> dict[str, float]:
    """Recall and NDCG of one user, by a loop: the rank is the mean place of the items with its score."""
    ordered = sorted(scores, reverse=True)
    places = [place for place, score in enumerate(ordered, 1) if score == scores[target]]
    rank = sum(places) / len(places)
    return {
        f"{name}@{k}": gain if rank <= k else 0.0
        for k in (10, 20)
        for name, gain in (("ndcg", 1 / math.log2(1 + rank)), ("recall", 1.0))
    }


@pytest.mark.parametrize("values", [2, 8, 40, 10**6])
def test_equals_a_naive_loop_whatever_the_ties(values: int) -> None:
    users, items = 1000, 60
    generator = np.random.default_rng(values)
    scores, target = generator.integers(values, size=(users, items)), generator.integers(items, size=users)
    ranks = mean_ranks(torch.from_numpy(scores).double(), torch.from_numpy(target))
    found = metrics_by_target(ranks)
    for user in range(users):
        expected = naive_metrics(scores[user].tolist(), int(target[user]))
        assert {name: float(by_user[user]) for name, by_user in found.items()} == pytest.approx(expected)


@pytest.mark.parametrize("values", [3, 12, 10**6])
def test_equals_ranx_whatever_the_ties(values: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_DISABLE_JIT", "1")  # ranx compiles for a minute what Python does in a second
    from ranx import Qrels, Run, evaluate

    users, items = 1000, 40
    generator = np.random.default_rng(values)
    scores, target = generator.integers(values, size=(users, items)), generator.integers(items, size=users)
    every = np.arange(users)
    ranks = mean_ranks(torch.from_numpy(scores).double(), torch.from_numpy(target)).numpy()
    whole = ranks == np.floor(ranks)  # ranx gives no rank between two places
    assert 0.4 * users < whole.sum()
    # ranx breaks ties its own way: put the target in the middle of the tied items, at its mean rank.
    tied = scores == scores[every, target][:, None]
    tied[every, target] = False
    above = np.cumsum(tied, 1) <= tied.sum(1, keepdims=True) // 2
    places = scores + np.where(tied, np.where(above, 0.25, -0.25), 0.0)
    places += generator.permuted(np.tile(np.arange(items), (users, 1)), axis=1) / (1000 * items) * (places % 1 != 0)
    chosen = np.flatnonzero(whole)
    qrels = Qrels({f"u{u}": {f"i{target[u]}": 1} for u in chosen})
    run = Run({f"u{u}": {f"i{i}": float(places[u, i]) for i in range(items)} for u in chosen})
    expected = evaluate(qrels, run, ["ndcg@10", "ndcg@20", "recall@10", "recall@20"])
    assert metrics_from_ranks(ranks[whole]) == pytest.approx(expected)
