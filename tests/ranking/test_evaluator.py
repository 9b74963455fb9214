"""Ranks of a real model: over the whole catalogue without excluded items, the same in every batch."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hierrec.core.errors import DataError
from hierrec.core.sequences import NO_TARGET
from hierrec.model.checkpoint import new_model
from hierrec.model.scorer import Scorer
from hierrec.params import load_params
from hierrec.ranking.evaluator import rank_in_batches, rank_targets
from numpy.typing import NDArray

from tests.model.world import PHI3, with_backbone

# Twins lie far apart, and at the end of the catalogue, where a matrix product rounds differently.
ITEMS, TWIN, USERS, HISTORY = 38, 19, 60, 6
CANDIDATES = np.arange(ITEMS) % 5 != 0


def scorer(frozen: NDArray[np.float32]) -> Scorer:
    """Return a tiny untrained recommender, whose scores are all different where the vectors are."""
    train = load_params(Path(__file__).parents[2] / "params.yaml").train
    params = with_backbone(train, PHI3).model_copy(update={"history": HISTORY, "residual_width": 0})
    return Scorer(new_model(params, frozen), np.ones(ITEMS, np.bool_))


@pytest.fixture(scope="module")
def frozen() -> NDArray[np.float32]:
    """Item vectors; items i and i + TWIN have the same."""
    vectors = np.random.default_rng(0).standard_normal((TWIN, 12)).astype(np.float32)
    return np.tile(vectors, (2, 1))


@pytest.fixture(scope="module")
def distinct() -> NDArray[np.float32]:
    """Item vectors, all different."""
    return np.random.default_rng(1).standard_normal((ITEMS, 12)).astype(np.float32)


@pytest.fixture(scope="module")
def users() -> tuple[list[NDArray[np.int64]], NDArray[np.int64]]:
    """Histories of 1 to 12 items, in no order of length, and targets; each fourth user has none."""
    generator = np.random.default_rng(2)
    histories, targets = [], []
    for user in range(USERS):
        *history, target = generator.permutation(ITEMS)[: generator.integers(2, 14)]
        histories.append(np.array(history))
        targets.append(NO_TARGET if user % 4 == 3 else target)
    return histories, np.array(targets)


def test_equals_counting_by_hand(distinct: NDArray, users: tuple) -> None:
    histories, targets = users
    model = scorer(distinct)
    expected = []
    for history, target in zip(histories, targets, strict=True):
        if target == NO_TARGET:
            continue
        with torch.inference_mode():
            scores = model.score_histories([history], np.array([0]))[0].numpy()
        others = set(np.flatnonzero(CANDIDATES)) - set(history)
        better = sum(scores[item] > scores[target] for item in others)
        expected.append(better + 1 if target in others else np.inf)
    ranks = rank_targets(model, histories, targets, CANDIDATES, batch_users=7)
    assert ranks.tolist() == expected
    assert np.isinf(ranks).any()
    assert ranks[np.isfinite(ranks)].max() > ITEMS / 2


@pytest.mark.parametrize("batch_users", [1, 2, 7, 64])
def test_the_batch_changes_no_rank(frozen: NDArray, users: tuple, batch_users: int) -> None:
    histories, targets = users
    model = scorer(frozen)
    expected = rank_targets(model, histories, targets, CANDIDATES, batch_users=5)
    actual = rank_targets(model, histories, targets, CANDIDATES, batch_users)
    np.testing.assert_array_equal(actual, expected)


def test_items_with_equal_vectors_tie(frozen: NDArray, users: tuple) -> None:
    histories, targets = users
    ranks = rank_targets(scorer(frozen), histories, targets, np.ones(ITEMS, np.bool_), batch_users=16)
    having = targets != NO_TARGET
    twins = np.array([(target + TWIN) % ITEMS in history for history, target in zip(histories, targets, strict=True)])
    # A ranked twin shares two places with the target, so the mean rank lies between; else it is whole.
    np.testing.assert_array_equal(ranks % 1, np.where(twins[having], 0, 0.5))
    assert 0 < twins[having].sum() < having.sum()


def test_users_without_a_target_are_passed_over(distinct: NDArray, users: tuple) -> None:
    histories, targets = users
    having = np.flatnonzero(targets != NO_TARGET)
    model = scorer(distinct)
    ranks = rank_targets(model, histories, targets, CANDIDATES, batch_users=8)
    only = rank_targets(model, [histories[user] for user in having], targets[having], CANDIDATES, batch_users=8)
    assert len(ranks) == len(having) == 45
    np.testing.assert_array_equal(ranks, only)


def test_nobody_with_a_target_gives_no_rank(distinct: NDArray) -> None:
    ranks = rank_targets(scorer(distinct), [np.array([1])], np.array([NO_TARGET]), CANDIDATES, batch_users=8)
    assert ranks.shape == (0,)


def test_what_was_seen_is_not_ranked_even_where_the_history_lacks_it(distinct: NDArray, users: tuple) -> None:
    histories, targets = users
    model, everything = scorer(distinct), np.ones(ITEMS, np.bool_)
    latest = [history[-1:] for history in histories]
    ranks = rank_targets(model, latest, targets, everything, batch_users=9, seen=histories)
    alone = rank_targets(model, latest, targets, everything, batch_users=9)
    assert (ranks <= alone).all()
    expected = []
    for user in np.flatnonzero(targets != NO_TARGET):
        with torch.inference_mode():
            scores = model.score_histories([latest[user]], np.array([0]))[0].numpy()
        others = set(range(ITEMS)) - set(histories[user])
        expected.append(1 + sum(scores[item] > scores[targets[user]] for item in others))
    assert ranks.tolist() == expected
    assert (ranks < alone).any()


@pytest.mark.parametrize("kind", ["history", "seen"])
def test_a_target_in_the_history_is_a_leak(distinct: NDArray, kind: str) -> None:
    clean, leaking = [np.array([1, 2]), np.array([3])], [np.array([1, 2]), np.array([3, 9])]
    histories, seen = (leaking, clean) if kind == "history" else (clean, leaking)
    everything = np.ones(ITEMS, np.bool_)
    with pytest.raises(DataError, match=r"history 1: the history holds the target, item 9"):
        rank_targets(scorer(distinct), histories, np.array([7, 9]), everything, 2, seen)
    # Without a target there is nothing to leak.
    assert len(rank_targets(scorer(distinct), histories, np.array([7, NO_TARGET]), everything, 2, seen)) == 1


def test_scores_that_lie_ready_rank_the_same(distinct: NDArray, users: tuple) -> None:
    histories, targets = users
    model = scorer(distinct)
    with torch.inference_mode():
        scores = model.score_histories(histories, np.arange(USERS))
    ranks = rank_in_batches(lambda batch: scores[torch.from_numpy(batch)], histories, targets, CANDIDATES, 7)
    assert ranks.tolist() == rank_targets(model, histories, targets, CANDIDATES, 7).tolist()


def test_scores_of_another_shape_are_refused(distinct: NDArray, users: tuple) -> None:
    histories, targets = users
    with pytest.raises(DataError, match=rf"scores \[7, {ITEMS - 1}\], not \[users, items\], \[7, {ITEMS}\]"):
        rank_in_batches(lambda batch: torch.zeros(len(batch), ITEMS - 1), histories, targets, CANDIDATES, 7)
    arrays = np.random.default_rng(3).random((USERS, ITEMS))
    array: Any = lambda batch: arrays[batch]  # noqa: E731
    expected = rank_in_batches(lambda batch: torch.from_numpy(arrays[batch]), histories, targets, CANDIDATES, 7)
    assert rank_in_batches(array, histories, targets, CANDIDATES, 7).tolist() == expected.tolist()
