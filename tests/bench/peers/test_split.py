"""The peers' input, and the metrics of their rankings."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from hierrec.core.sequences import Sequences
from hierrec.model.checkpoint import load_model
from hierrec.model.inputs import Inputs
from hierrec.model.scorer import Scorer
from hierrec.ranking.evaluator import rank_targets
from hierrec.ranking.metrics import metrics_from_ranks

from bench.peers.evaluate_ours import loop
from bench.peers.split import export_fit, export_split, export_tests, metrics_of, validation_users
from bench.peers.train_ours import top_items


def test_peers_get_the_training_items_in_order_and_no_target(inputs: Inputs, tmp_path: Path) -> None:
    users = validation_users(inputs.sequences, 10)
    export_split(inputs.sequences, users, tmp_path)
    table = pl.read_csv(tmp_path / "training.csv").sort("user", "position")
    for user, rows in enumerate(table.partition_by("user", maintain_order=True)):
        assert rows["item"].to_list() == inputs.sequences.training_items(user).tolist()
    assert len(table) == inputs.sequences.train_length.sum()
    assert pl.read_csv(tmp_path / "users.csv")["user"].to_list() == users.tolist()
    assert {path.name for path in tmp_path.iterdir()} == {"training.csv", "users.csv"}


def test_the_users_are_fixed_and_have_targets(inputs: Inputs) -> None:
    users = validation_users(inputs.sequences, 10)
    assert len(set(users.tolist())) == 10
    assert np.array_equal(users, validation_users(inputs.sequences, 10))
    assert (inputs.sequences.validation[users] >= 0).all()
    assert len(validation_users(inputs.sequences, 10**6)) == inputs.sequences.user_count


def test_the_evaluation_gets_the_validation_item_as_history(inputs: Inputs, tmp_path: Path) -> None:
    export_tests(inputs.sequences, tmp_path)
    lengths = pl.read_csv(tmp_path / "training.csv").group_by("user").len().sort("user")["len"]
    assert lengths.to_list() == [len(history) for history in inputs.sequences.test_histories()]
    targets = pl.read_csv(tmp_path / "targets.csv")
    assert targets["item"].to_list() == inputs.sequences.test[targets["user"].to_numpy()].tolist()


def test_a_target_outside_the_ranking_is_a_miss() -> None:
    top = np.array([[4, 2, 9], [1, 5, 6], [7, 8, -1]])
    metrics = metrics_of(top, np.array([2, 1, 3]))
    assert metrics["recall@10"] == pytest.approx(2 / 3)
    assert metrics["ndcg@10"] == pytest.approx((1 / np.log2(3) + 1) / 3)


def test_all_ways_of_evaluating_agree(artifacts: Path, inputs: Inputs) -> None:
    model = load_model(artifacts / "models" / "hierarchical", inputs.frozen, inputs.store_hash)
    scorer, sequences = Scorer(model, inputs.candidates), inputs.sequences
    histories = sequences.validation_histories()
    ranks = rank_targets(scorer, histories, sequences.validation, inputs.candidates, 64)
    one_by_one = Scorer(model, inputs.candidates, dtype=torch.float32)
    assert loop(one_by_one, histories, sequences.validation) == pytest.approx(ranks)
    top = top_items(model, sequences, inputs.candidates, np.arange(len(ranks)))
    assert metrics_of(top, sequences.validation) == pytest.approx(metrics_from_ranks(ranks))


def test_where_users_take_items_again_those_of_the_history_are_ranked(artifacts: Path, inputs: Inputs) -> None:
    model = load_model(artifacts / "models" / "hierarchical", inputs.frozen, inputs.store_hash)
    sequences, users = inputs.sequences, np.arange(inputs.sequences.user_count)
    again = replace(sequences, repeated=True)
    seen = [set(history.tolist()) for history in sequences.validation_histories()]

    def top(data: Sequences) -> list[set[int]]:
        return [set(row) for row in top_items(model, data, inputs.candidates, users).tolist()]

    assert not any(best & own for best, own in zip(top(sequences), seen, strict=True))
    assert any(best & own for best, own in zip(top(again), seen, strict=True))


def test_early_stopping_gets_the_validation_targets_and_no_test_target(inputs: Inputs, tmp_path: Path) -> None:
    export_fit(inputs.sequences, tmp_path)
    for name, histories in (
        ("training", inputs.sequences.validation_histories()),
        ("histories", inputs.sequences.test_histories()),
    ):
        table = pl.read_csv(tmp_path / f"{name}.csv").sort("user", "position")
        assert table["item"].to_list() == np.concatenate(histories).tolist()
    targets = pl.read_csv(tmp_path / "validation.csv")
    assert targets["item"].to_list() == inputs.sequences.validation[targets["user"].to_numpy()].tolist()
    assert {path.name for path in tmp_path.iterdir()} == {"training.csv", "histories.csv", "validation.csv"}
