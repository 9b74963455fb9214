"""The report of a variant, for a recommender that knows by rule what comes next."""

import numpy as np
import pytest
import torch
from hierrec.errors import DataError
from hierrec.evaluation.report import RANK_LIMITS, evaluate
from numpy.typing import NDArray
from torch import Tensor

from tests.recommender.world import ITEMS, make_sequences

ALL = np.ones(ITEMS, np.bool_)
# Around the ring of items, one step at a time; the last user is too short for the split.
WALKS = make_sequences([(user * 3 + np.arange(5 + user % 4)) % ITEMS for user in range(12)] + [np.arange(2)])


class Successor:
    """Expects the item that follows the latest one on the ring; the further ahead, the less likely."""

    def score_histories(self, histories: list[NDArray[np.int64]], users: NDArray[np.int64]) -> Tensor:
        """Return scores [B, n]."""
        latest = torch.tensor([history[-1] for history in histories]).unsqueeze(1)  # [B, 1]
        return -((torch.arange(ITEMS) - latest - 1) % ITEMS).double()  # [B, n]


def test_at_test_time_the_validation_item_ends_the_history() -> None:
    metrics, _ = evaluate(Successor(), WALKS, ALL, batch_users=4)
    perfect = dict.fromkeys(("ndcg@10", "ndcg@20", "recall@10", "recall@20"), 1.0)
    # Were the validation item missing from the history, every test target would rank second.
    assert metrics == {"validation": perfect, "test": perfect, "users": 12, "candidates": ITEMS}


def test_the_validation_item_is_excluded_at_test_time_only() -> None:
    class Validation:
        """Puts each user's validation item first and its test item second."""

        def score_histories(self, histories: list[NDArray[np.int64]], users: NDArray[np.int64]) -> Tensor:
            scores = torch.zeros(len(users), ITEMS)
            scores[torch.arange(len(users)), torch.from_numpy(WALKS.validation[users])] = 2
            scores[torch.arange(len(users)), torch.from_numpy(WALKS.test[users])] = 1
            return scores

    metrics, recall = evaluate(Validation(), WALKS, ALL, batch_users=4)
    assert metrics["validation"]["ndcg@10"] == metrics["test"]["ndcg@10"] == 1
    assert recall["recall"].to_list() == [1.0] * len(RANK_LIMITS)


def test_the_curve_agrees_with_the_metrics() -> None:
    class Popularity:
        """Scores by how often an item occurs; ties are common."""

        def score_histories(self, histories: list[NDArray[np.int64]], users: NDArray[np.int64]) -> Tensor:
            counts = torch.from_numpy(WALKS.training_counts(ITEMS))  # [n]
            return counts.double().repeat(len(users), 1)  # [B, n]

    metrics, recall = evaluate(Popularity(), WALKS, ALL, batch_users=5)
    curve = dict(zip(recall["k"], recall["recall"], strict=True))
    assert tuple(curve) == RANK_LIMITS
    assert 0 < curve[10] == metrics["test"]["recall@10"] < 1
    assert curve[20] == metrics["test"]["recall@20"]
    assert recall["recall"].is_sorted()
    assert metrics["validation"] != metrics["test"]


def test_only_candidates_count() -> None:
    few = np.arange(ITEMS) % 2 == 0
    metrics, recall = evaluate(Successor(), WALKS, few, batch_users=4)
    assert metrics["candidates"] == ITEMS // 2
    targets = WALKS.test[:-1]
    assert recall["recall"][-1] == few[targets].mean() == metrics["test"]["recall@10"]


def test_no_target_at_all_is_a_typed_error() -> None:
    with pytest.raises(DataError, match="nothing to evaluate"):
        evaluate(Successor(), make_sequences([np.arange(2), np.arange(1)]), ALL, batch_users=4)
