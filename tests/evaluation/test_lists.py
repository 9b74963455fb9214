"""Metrics of recommended lists, against loops over every list and pair."""

import math
from itertools import combinations

import numpy as np
import polars as pl
import pytest
import torch
from hierrec.core.sequences import NO_TARGET, Sequences
from hierrec.evaluation.lists import LENGTH, TopLists, list_metrics
from hierrec.ranking.ranking import top_items
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

ITEMS = 40


class Given:
    """Scores of each user, whatever the history."""

    def __init__(self, scores: Tensor) -> None:
        self.scores = scores

    def score_histories(self, histories: list[NDArray[np.int64]], users: NDArray[np.int64]) -> Tensor:
        """Return scores [B, n]."""
        return self.scores[users]


@given(st.integers(0, 10**6), st.integers(1, 5), st.integers(1, 30))
def test_the_best_items_are_those_of_a_sort(seed: int, levels: int, items: int) -> None:
    generator = np.random.default_rng(seed)
    scores = generator.integers(levels, size=(4, items)).astype(np.float32)  # many ties
    excluded = generator.random((4, items)) < 0.5
    top = top_items(torch.from_numpy(scores), torch.from_numpy(excluded), LENGTH)
    for row in range(4):
        ranked = sorted(np.flatnonzero(~excluded[row]), key=lambda item: (-scores[row, item], item))[:LENGTH]
        assert top[row].tolist() == ranked + [-1] * (LENGTH - len(ranked))


def test_the_lists_hold_candidates_that_are_not_in_the_history() -> None:
    generator = np.random.default_rng(1)
    scores, candidates = torch.from_numpy(generator.random((6, ITEMS))), generator.random(ITEMS) < 0.8
    histories = [generator.permutation(ITEMS)[:5] for _ in range(6)]
    lists, again = TopLists(Given(scores), candidates), TopLists(Given(scores), candidates, repeated=True)
    for start in (0, 3):
        users = np.arange(start, start + 3)
        assert lists.score_histories(histories[start : start + 3], users) is not None
        again.score_histories(histories[start : start + 3], users)
    assert lists.items.shape == (6, LENGTH)
    for top, history in zip(lists.items, histories, strict=True):
        assert candidates[top].all()
        assert not set(top.tolist()) & set(history.tolist())
    assert any(set(top) & set(history) for top, history in zip(again.items, histories, strict=True))


def test_scores_that_differ_by_rounding_tie() -> None:
    lists = TopLists(Given(1 + 1e-12 * torch.arange(ITEMS).double()[None]), np.ones(ITEMS, np.bool_))
    lists.score_histories([np.array([], np.int64)], np.array([0]))
    assert lists.items.tolist() == [list(range(LENGTH))]


def taken(targets: NDArray[np.int64], counts: NDArray[np.int64]) -> Sequences:
    """Return users with a target each; only the first has training items, each as often as `counts` says."""
    length, nothing = int(counts.sum()), np.zeros(len(targets), np.int64)
    return Sequences(
        items=np.repeat(np.arange(ITEMS), counts),
        offsets=np.array([0, *(nothing + length)]),
        train_length=np.array([length, *nothing[1:]]),
        test_length=np.array([length, *nothing[1:]]),
        validation=np.full(len(targets), NO_TARGET),
        test=targets,
    )


def naive(
    lists: list[list[int]],
    targets: list[int],
    ranks: list[float],
    counts: list[int],
    n: int,
    vectors: NDArray,
) -> dict[str, object]:
    """The metrics, item by item and pair by pair."""
    seen, information, popular, diversity = set(), [], [], []
    for items in lists:
        for item in items:
            seen.add(item)
            information.append(-math.log2((counts[item] + 1) / (sum(counts) + len(counts))))
            popular.append(counts[item])
        distances = [
            1 - vectors[a] @ vectors[b] / (np.linalg.norm(vectors[a]) * np.linalg.norm(vectors[b]))
            for a, b in combinations(items, 2)
        ]
        diversity += [sum(distances) / len(distances)] if distances else []
    return {
        "coverage@10": len(seen) / n,
        "novelty@10": sum(information) / len(information),
        "diversity@10": sum(diversity) / len(diversity),
        "popularity@10": pytest.approx(
            {
                "recommended": sum(popular) / len(popular),
                "taken": sum(counts[item] for item in targets) / len(targets),
            }
        ),
        "mrr": sum(1 / rank for rank in ranks if rank < math.inf) / len(ranks),
    }


@given(st.integers(0, 10**6))
def test_the_metrics_are_those_of_plain_loops(seed: int) -> None:
    generator = np.random.default_rng(seed)
    lengths = [LENGTH, LENGTH, *generator.integers(0, LENGTH + 1, 3)]
    lists = [generator.permutation(ITEMS)[:length].tolist() for length in lengths]
    top = np.array([items + [-1] * (LENGTH - len(items)) for items in lists])
    targets, ranks = generator.integers(ITEMS, size=5), [*generator.integers(1, 50, 4) / 2 + 0.5, math.inf]
    counts, vectors = generator.integers(0, 9, ITEMS), generator.normal(size=(ITEMS, 6)).astype(np.float32)
    found = list_metrics(top, taken(targets, counts), pl.DataFrame({"test": ranks}), np.arange(ITEMS) < 33, vectors)
    expected = naive(lists, targets.tolist(), ranks, counts.tolist(), 33, vectors)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert found[name] == (value if name == "popularity@10" else pytest.approx(value, rel=1e-5)), name


def test_lists_of_one_item_have_no_diversity() -> None:
    top = np.full((3, LENGTH), -1)
    top[:, 0] = 5
    sequences, ranks = taken(np.full(3, 3), np.ones(ITEMS, np.int64)), pl.DataFrame({"test": np.ones(3)})
    found = list_metrics(top, sequences, ranks, np.ones(ITEMS, np.bool_), np.ones((ITEMS, 6), np.float32))
    assert "diversity@10" not in found


def test_one_list_for_everybody_is_neither_new_nor_covers_much(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = np.arange(ITEMS)[::-1].copy()
    same = np.tile(np.arange(LENGTH), (8, 1))
    rest = np.arange(8 * LENGTH).reshape(8, LENGTH) % ITEMS
    sequences, first = taken(np.full(8, 3), counts), pl.DataFrame({"test": np.ones(8)})
    every = np.ones(ITEMS, np.bool_)
    popular, varied = (list_metrics(top, sequences, first, every) for top in (same, rest))
    assert (popular["coverage@10"], varied["coverage@10"]) == (LENGTH / ITEMS, 1)
    assert popular["novelty@10"] < varied["novelty@10"]
    assert popular["popularity@10"]["recommended"] > varied["popularity@10"]["recommended"]
    assert popular["mrr"] == 1
    assert "diversity@10" not in popular
    equal = np.ones((ITEMS, 3), np.float32)
    found = list_metrics(same, sequences, first, every, equal)
    assert found["diversity@10"] == pytest.approx(0, abs=1e-6)
    # Items without text are unlike all others, in every block of lists.
    equal[LENGTH:] = 0
    monkeypatch.setattr("hierrec.evaluation.lists._BLOCK", 3)
    found = list_metrics(np.concatenate([same, same + LENGTH]), sequences, first, every, equal)
    assert found["diversity@10"] == pytest.approx(0.5, abs=1e-6)
