"""The charts of the results; results that an evaluation did not write are left out."""

import pytest

from tests.report.world import COUNTS, MOVIELENS, bare_results, full_results


def test_published_numbers_stand_beside_ours_on_movielens_only() -> None:
    labels = {row.label for row in full_results(MOVIELENS).overview()[0].rows}
    assert labels == {"SASRec", "HSTU", "eSASRec", "FuXi-α", "hierarchical", "rag"}
    assert {row.label for row in full_results(COUNTS).overview()[0].rows} == {"hierarchical", "rag"}


def test_models_are_ordered_by_the_metric_that_is_shown() -> None:
    for plot in full_results(MOVIELENS).overview():
        values = [float(row.text) for row in plot.rows]
        assert values == sorted(values, reverse=True)
    ndcg = full_results(MOVIELENS).overview()[0]
    assert next(row.text for row in ndcg.rows if row.label == "HSTU") == "0.1719"


def test_the_table_begins_with_the_baselines_from_the_worst_to_the_best() -> None:
    rows = full_results().table("test")
    assert [name for name, _ in rows] == ["popularity", "markov", "hierarchical", "rag"]
    assert [values["ndcg@10"] for _, values in rows] == pytest.approx([0.02, 0.17, 0.17, 0.187])
    assert [name for name, _ in bare_results().table("validation")] == ["hierarchical", "rag"]


def test_a_metric_has_its_interval() -> None:
    value = full_results().measured("rag", "recall@10")
    assert (value.value, value.low, value.high) == pytest.approx((0.33, 0.32, 0.34))


def test_slices_have_their_groups_in_order_and_the_change() -> None:
    history, popularity, perturbed = full_results().by_slice()
    assert [row.label for row in history.rows] == ["Short", "Middle", "Long"]
    assert [row.label for row in popularity.rows] == ["Head", "Middle", "Tail"]
    assert [row.label for row in perturbed.rows] == ["As it was", "Items left out", "Items replaced"]
    assert {row.text for row in history.rows} == {"+10.0%"}


def test_a_group_without_users_is_left_out() -> None:
    results = full_results()
    for metrics in results.metrics.values():
        metrics["slices"]["popularity"]["tail"] = {"users": 0}
    assert [row.label for row in results.by_slice()[1].rows] == ["Head", "Middle"]


def test_targets_are_shown_apart_where_some_are_repeated() -> None:
    results = full_results()
    for metrics in results.metrics.values():
        new = metrics["slices"]["history"]["short"]
        metrics["slices"]["target"] = {"new": new, "repeated": {"users": 0}}
    assert len(results.by_slice()) == 3  # all are new
    for metrics in results.metrics.values():
        metrics["slices"]["target"]["repeated"] = metrics["slices"]["history"]["long"]
    assert [row.label for row in results.by_slice()[2].rows] == ["New to the user", "Taken before"]


def test_what_was_not_written_is_not_drawn() -> None:
    results = bare_results()
    assert results.by_slice() == []
    assert results.training() == []
    assert results.recall_chart() is None
    assert results.measured("rag", "ndcg@10").low is None


def test_each_variant_has_its_learning_curves() -> None:
    charts = full_results().training()
    assert [chart.lines[0][0] for chart in charts] == ["hierarchical", "hierarchical", "rag", "rag"]
    assert [len(chart.lines[0][1]) for chart in charts] == [3, 2, 3, 2]


def test_a_change_of_nearly_nothing_is_a_difference() -> None:
    results = full_results()
    for variant, recall in (("hierarchical", 0.01), ("rag", 0.15)):
        results.metrics[variant]["slices"]["popularity"]["tail"] |= {"ndcg@10": recall, "recall@10": recall}
    assert [row.text for row in results.by_slice()[1].rows] == ["+10.0%", "+10.0%", "+0.1400"]


def test_exactly_enough_hits_are_enough() -> None:
    results = full_results()
    for metrics in results.metrics.values():
        metrics["slices"]["popularity"]["tail"] |= {"users": 190, "recall@10": 10 / 190}
    assert results.by_slice()[1].rows[2].text == "+10.0%"
