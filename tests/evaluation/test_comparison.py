"""The comparison of two variants: differences, intervals and p-values."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hierrec.core.errors import DataError
from hierrec.evaluation.comparison import compare
from hierrec.params import load_params
from hierrec.ranking.metrics import metrics_from_ranks

from tests.evaluation.tables import random_ranks, ranks_table

PARAMS = load_params(Path(__file__).parents[2] / "params.yaml").evaluate.model_copy(update={"resamples": 300})
BASE = random_ranks(300, 1)
BETTER = np.maximum(1, BASE - np.random.default_rng(2).integers(0, 8, 300))


def compared(base: np.ndarray, other: np.ndarray) -> dict:
    tables = {"hierarchical": ranks_table(base.tolist()), "rag": ranks_table(other.tolist())}
    return compare(tables, PARAMS)


def test_a_better_variant_is_found_better_on_every_metric_and_slice() -> None:
    comparison = compared(BASE, BETTER)
    base, better = metrics_from_ranks(BASE), metrics_from_ranks(BETTER)
    assert set(comparison["test"]) == set(base)
    for name, result in comparison["test"].items():
        assert (result["hierarchical"], result["rag"]) == (base[name], better[name])
        assert result["relative"] == pytest.approx(better[name] / base[name] - 1)
        assert 0 < result["low"] < result["rag"] - result["hierarchical"] < result["high"]
        assert result["p"] < 0.01
    middle = comparison["slices"]["history"]["middle"]["ndcg@10"]
    assert middle["rag"] == metrics_from_ranks(BETTER[1::3])["ndcg@10"]
    assert comparison["slices"]["perturbed"]["dropped"] == comparison["test"]


def test_the_comparison_is_the_same_from_the_other_side() -> None:
    there, back = compared(BASE, BETTER)["test"], compared(BETTER, BASE)["test"]
    for name in there:
        assert back[name]["low"] == pytest.approx(-there[name]["high"])
        assert back[name]["high"] == pytest.approx(-there[name]["low"])
        assert back[name]["p"] == there[name]["p"]


def test_equal_variants_do_not_differ() -> None:
    for result in compared(BASE, BASE)["test"].values():
        assert (result["relative"], result["low"], result["high"], result["p"]) == (0, 0, 0, 1)


def test_two_variants_that_are_equal_on_average_do_not_differ() -> None:
    for result in compared(BASE, BASE[::-1])["test"].values():  # the same ranks, of other users
        assert result["low"] < 0 < result["high"]
        assert result["p"] > 0.5


def test_pairing_finds_a_difference_that_is_smaller_than_the_spread_of_users() -> None:
    other = np.where(np.arange(300) % 20 == 0, np.maximum(1, BASE - 3), BASE)
    result = compared(BASE, other)["test"]["ndcg@10"]
    assert result["rag"] - result["hierarchical"] < np.std(BASE <= 10) / np.sqrt(300)
    assert result["p"] < 0.01


def test_from_nothing_there_is_no_relative_gain() -> None:
    result = compared(np.full(9, 50.0), np.full(9, 1.0))["test"]["recall@10"]
    assert result["hierarchical"] == 0
    assert result["rag"] == 1
    assert "relative" not in result


def test_a_group_without_users_is_left_out() -> None:
    assert set(compared(BASE[:2], BETTER[:2])["slices"]["history"]) == {"short", "middle"}


def test_a_perturbation_that_one_variant_lacks_is_left_out() -> None:
    base = ranks_table(BASE.tolist())
    tables = {"rag": base, "refit": base.with_columns(dropped=pl.lit(None, pl.Float64))}
    assert set(compare(tables, PARAMS)["slices"]["perturbed"]) == {"replaced"}


def test_a_user_with_several_targets_is_one_observation() -> None:
    base, other = (ranks_table(ranks, user=[0, 0, 0, 1]) for ranks in ([50.0] * 4, [1.0, 1.0, 1.0, 50.0]))
    assert compare({"hierarchical": base, "rag": other}, PARAMS)["test"]["recall@10"]["low"] == 0


@pytest.mark.parametrize(
    "change",
    [
        lambda table: table.head(-1),
        lambda table: table.with_columns(user=pl.col("user") + 1),
        lambda table: table.with_columns(test=pl.when(pl.col("user") != 3).then("test")),
        lambda table: table.with_columns(history=pl.lit("short")),
    ],
)
def test_other_users_or_targets_are_a_typed_error(change) -> None:
    table = ranks_table(BASE[:30].tolist())
    with pytest.raises(DataError, match="hierarchical and rag were not evaluated for the same users"):
        compare({"hierarchical": table, "rag": change(table)}, PARAMS)
