"""Metrics of a variant from its ranks."""

import math
from pathlib import Path

import numpy as np
import pytest
from hierrec.core.errors import DataError
from hierrec.evaluation.summary import RANK_LIMITS, recall_curve, slices_table, summarise
from hierrec.params import load_params
from hierrec.ranking.metrics import metrics_from_ranks

from tests.evaluation.tables import random_ranks, ranks_table

PARAMS = load_params(Path(__file__).parents[2] / "params.yaml").evaluate.model_copy(update={"resamples": 300})
METRICS = {"ndcg@10", "ndcg@20", "recall@10", "recall@20"}


def test_the_metrics_are_those_of_the_columns() -> None:
    validation, test = random_ranks(90, 1), random_ranks(90, 2)
    dropped, replaced = random_ranks(90, 3), random_ranks(90, 4)
    columns = {"validation": validation, "dropped": dropped, "replaced": replaced}
    table = ranks_table(test.tolist(), **{name: ranks.tolist() for name, ranks in columns.items()})
    summary = summarise(table, 500, PARAMS)
    assert summary["validation"] == metrics_from_ranks(validation)
    assert summary["test"] == metrics_from_ranks(test)
    assert (summary["users"], summary["candidates"]) == (90, 500)
    slices = summary["slices"]
    assert slices["history"]["middle"] == {"users": 30, **metrics_from_ranks(test[1::3])}
    assert slices["popularity"]["tail"] == {"users": 30, **metrics_from_ranks(test[2::3])}
    assert slices["perturbed"] == {
        "dropped": {"users": 90, **metrics_from_ranks(dropped)},
        "replaced": {"users": 90, **metrics_from_ranks(replaced)},
    }


def test_the_intervals_hold_the_metrics_and_narrow_with_the_users() -> None:
    few, many = (summarise(ranks_table(random_ranks(n, 1).tolist()), 500, PARAMS) for n in (100, 2500))
    for summary in (few, many):
        assert set(summary["intervals"]["test"]) == METRICS
        for name, interval in summary["intervals"]["test"].items():
            assert 0 <= interval["low"] < summary["test"][name] < interval["high"] <= 1

    def width(summary: dict) -> float:
        interval = summary["intervals"]["test"]["ndcg@10"]
        return interval["high"] - interval["low"]

    assert width(few) / width(many) == pytest.approx(math.sqrt(25), rel=0.3)


def test_users_without_a_target_do_not_count() -> None:
    ranks = random_ranks(20, 1).tolist()
    summary = summarise(ranks_table([*ranks, None]), 50, PARAMS)
    assert summary["users"] == 20
    assert summary["test"] == metrics_from_ranks(ranks)
    with pytest.raises(DataError, match="nothing to evaluate"):
        summarise(ranks_table([None, None]), 50, PARAMS)


def test_a_group_without_users_has_no_metrics_and_no_row() -> None:
    table = ranks_table([1.0, 4.0])  # no long histories
    summary = summarise(table, 50, PARAMS)
    assert summary["slices"]["history"]["long"] == {"users": 0}
    rows = slices_table({"hierarchical": summary, "rag": summary})
    assert set(rows.columns) == {"variant", "slice", "group", "users", *METRICS}
    assert not rows.null_count().sum_horizontal()[0]
    groups = rows.filter(variant="rag", slice="history")["group"].to_list()
    assert groups == ["short", "middle"]


def test_the_curve_agrees_with_the_metrics() -> None:
    ranks = np.append(random_ranks(80, 5), [np.inf, 10.5])
    curve = recall_curve(ranks_table(ranks.tolist()))
    metrics = metrics_from_ranks(ranks)
    assert tuple(curve["k"]) == RANK_LIMITS
    assert curve.filter(k=10)["recall"][0] == metrics["recall@10"]
    assert curve.filter(k=20)["recall"][0] == metrics["recall@20"]
    assert curve["recall"].is_sorted()
    assert curve["recall"][-1] < 1
