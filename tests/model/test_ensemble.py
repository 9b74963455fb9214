"""An ensemble ranks by the mean of its members' logits, and each is trained as if it were alone."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hierrec.core.sequences import Sequences
from hierrec.model.checkpoint import load_model, new_model, save_model
from hierrec.model.ensemble import Ensemble
from hierrec.model.params import TrainParams
from hierrec.model.scorer import Scorer
from hierrec.training.trainer import Validate
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.model.world import ITEMS, trained

histories = st.lists(st.lists(st.integers(0, ITEMS - 1), max_size=12), min_size=1, max_size=4)


@pytest.fixture
def three(train_params: TrainParams, frozen: NDArray) -> Ensemble:
    model = new_model(train_params.model_copy(update={"members": 3}), frozen).eval()
    assert isinstance(model, Ensemble)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for member in model.members:
            member.items.residual.normal_(generator=generator)
    return model


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(batch=histories)
@torch.no_grad()
def test_a_score_is_the_mean_of_the_members_logits(three: Ensemble, batch: list[list[int]]) -> None:
    arrays = [np.array(history, np.int64) for history in batch]
    empty = [np.array([], np.int64)] * len(batch)  # nothing is masked
    together, *alone = (Scorer(model, np.ones(ITEMS, np.bool_)) for model in (three, *three.members))
    scores = torch.stack([one.model_scores(one.states(arrays), empty) for one in alone])  # [M, B, n]
    torch.testing.assert_close(together.model_scores(together.states(arrays), empty), scores.mean(0), rtol=0, atol=1e-9)
    assert scores.std(0).min() > 0
    assert together.states(arrays).shape == (len(batch), three.width)


@torch.no_grad()
def test_what_is_computed_once_for_all_items_changes_nothing(three: Ensemble) -> None:
    rows, lengths = torch.arange(12).reshape(2, 6), torch.tensor([6, 3])
    states = three.states(rows, lengths)
    torch.testing.assert_close(states, three.states(rows, lengths, three.item_inputs()))
    torch.testing.assert_close(
        states, torch.cat([member(rows) for member in three.members], -1)[torch.arange(2), lengths - 1]
    )
    keys, biases = three.item_keys()
    some = torch.tensor([7, 3])
    for whole, part in zip((keys, biases), three.item_keys(some), strict=True):
        torch.testing.assert_close(whole[some], part)


def test_the_members_have_one_copy_of_the_frozen_vectors(three: Ensemble) -> None:
    assert len({id(member.items.frozen) for member in three.members}) == 1


def test_a_member_is_the_model_that_its_seed_would_give_alone(
    train_params: TrainParams, frozen: NDArray, sequences: Sequences, tmp_path: Path
) -> None:
    def rising() -> Validate:  # so that the latest is the best
        metrics = iter(range(1, 10))
        return lambda _: {"ndcg@10": float(next(metrics))}

    two = train_params.model_copy(update={"members": 2})
    together, curve = trained(two, frozen, sequences, rising(), tmp_path / "two")
    losses = []
    for number, member in enumerate(together.members):
        params = train_params.model_copy(update={"seed": train_params.seed + number})
        alone, own = trained(params, frozen, sequences, rising(), tmp_path / str(number))
        assert all(torch.equal(a, b) for a, b in zip(member.parameters(), alone.parameters(), strict=True))
        losses.append([record["train_loss"] for record in own.curve])
    assert [record["train_loss"] for record in curve.curve] == pytest.approx(np.mean(losses, 0))
    assert losses[0] != losses[1]


def test_round_trip(three: Ensemble, train_params: TrainParams, frozen: NDArray, tmp_path: Path) -> None:
    params = train_params.model_copy(update={"members": 3})
    save_model(tmp_path / "model", three, "store")
    loaded = load_model(tmp_path / "model", frozen, "store")
    assert loaded.params == params
    history = torch.tensor([[1, 2, 3]]), torch.tensor([3])
    assert torch.equal(loaded.states(*history), three.states(*history))
