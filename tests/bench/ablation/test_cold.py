"""Cold items are ranked by text alone, with a residual of zero. The baselines match their definitions."""

from typing import Any

import numpy as np
import pytest
import torch
from hierrec.model.scorer import Scorer

from bench.ablation.cold import measure
from bench.ablation.cold_scorers import ModelScorer, TfIdfScorer, chance, residuals
from bench.ablation.cold_split import choose_cold, split_cold
from bench.ablation.plan import row_of
from bench.ablation.settings import Settings
from bench.ablation.training import Data, frozen_vectors, train, train_params
from tests.bench.ablation.conftest import TINY

SHARE = 0.2


@pytest.fixture(scope="module")
def texts(data: Data) -> list[str]:
    genres = data.items["genres"].to_list()
    return [f"{title}. {' '.join(own)}" for title, own in zip(data.items["title"], genres, strict=True)]


@pytest.fixture(scope="module")
def frozen(data: Data) -> np.ndarray:
    return frozen_vectors(np.random.default_rng(0).standard_normal((len(data.items), 24), np.float32), dimension=16)


def test_a_cold_item_has_no_residual_and_every_cold_target_counts(
    data: Data, texts: list[str], frozen: np.ndarray, settings: Settings, document: dict[str, Any]
) -> None:
    params = train_params(row_of(document, 2, TINY), seed=1)
    cold_settings = settings.cold.model_copy(update={"share": SHARE})
    result = measure(data, frozen, texts, params, cold_settings)
    cold = choose_cold(data.items["item_id"].to_list(), data.candidates, SHARE, seed=1)
    assert result["cold_items"] == cold.sum() > 0
    assert result["cold_residual"] == 0
    for split, targets in (("validation", data.sequences.validation), ("test", data.sequences.test)):
        assert result["cold_targets"][split] == cold[targets[targets >= 0]].sum() > 0
        for ranking in ("all", "cold", "warm"):
            assert all(0 <= value <= 1 for value in result[split][ranking].values())
        assert result[split]["cold"]["random"] == pytest.approx(10 / cold.sum())
        assert {"model", "model_inherited", "tf_idf", "random"} <= set(result[split]["all"])


def test_the_model_ranks_a_cold_item_by_its_text_alone(
    data: Data, frozen: np.ndarray, document: dict[str, Any]
) -> None:
    params = train_params(row_of(document, 2, TINY), seed=1)
    cold = choose_cold(data.items["item_id"].to_list(), data.candidates, SHARE, seed=1)
    split = split_cold(data.sequences, cold)
    (model,) = train(split.training, data.candidates & ~cold, frozen, params).members
    residual = model.items.residual.detach()
    is_cold, warm = torch.from_numpy(cold), torch.from_numpy(~cold)
    assert not residual[is_cold].any()
    assert residual[warm].any(1).float().mean() > 0.5
    histories = split.histories["test"]
    states = Scorer(model, data.candidates).states_in_batches(histories)  # [U, D]
    other = residuals(model, cold, neighbours=3)
    users = np.arange(len(histories))
    plain = ModelScorer(states, model).score_histories(histories, users)
    alone = ModelScorer(states, model, other["model_text_alone"]).score_histories(histories, users)
    assert torch.equal(plain[:, is_cold], alone[:, is_cold])
    inherited = other["model_inherited"]
    assert torch.equal(inherited[warm], residual[warm])
    assert inherited[is_cold].any()


def test_tf_idf_ranks_the_items_first_that_share_words_with_the_latest() -> None:
    scorer = TfIdfScorer(["space war", "space opera", "quiet love", "love letters"], recent=1)
    histories = [np.array([2, 0]), np.array([0, 2]), np.array([], np.int64)]
    scores = scorer.score_histories(histories, np.arange(3))
    assert scores[0].argsort(descending=True, stable=True)[:2].tolist() == [0, 1]
    assert scores[1].argsort(descending=True, stable=True)[:2].tolist() == [2, 3]
    assert not scores[2].any()


def test_chance_is_what_random_orders_give() -> None:
    generator = np.random.default_rng(0)
    candidates = np.arange(30) < 25
    history, target = np.array([0, 1, 2, 27]), 5
    ranked = np.array([item for item in range(25) if item > 2])
    hits = [target in generator.permutation(ranked)[:10] for _ in range(4000)]
    expected = chance([history, history], np.array([target, -1]), candidates, k=10)
    assert expected == pytest.approx(10 / 22)
    assert np.mean(hits) == pytest.approx(expected, abs=0.03)
