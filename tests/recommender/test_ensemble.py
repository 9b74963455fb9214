"""An ensemble ranks by the mean of its members' logits, and trains them as if each were alone."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hierrec.data.sequences import Sequences
from hierrec.params import TrainParams
from hierrec.recommender.checkpoint import load_recommender, new_recommender, save_recommender
from hierrec.recommender.ensemble import Ensemble, UserModel
from hierrec.recommender.hierarchical import HierarchicalRecommender
from hierrec.recommender.resume import Progress, TrainingState
from hierrec.recommender.trainer import fit
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.recommender.world import ITEMS, PHI3, with_backbone

histories = st.lists(st.lists(st.integers(0, ITEMS - 1), max_size=12), min_size=1, max_size=4)


def params_of(params: TrainParams, members: int) -> TrainParams:
    """Return params of so many members, without dropout: nothing in training is drawn for one member alone."""
    backbone = with_backbone(params, PHI3 | {"resid_pdrop": 0.0})
    return backbone.model_copy(
        update={"members": members, "input_dropout": 0.0, "residual_dropout": 0.0, "epochs": 3}
    )


@pytest.fixture
def three(train_params: TrainParams, frozen: NDArray) -> Ensemble:
    model = new_recommender(train_params.model_copy(update={"members": 3}), frozen).eval()
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
    together, *alone = (HierarchicalRecommender(model, 10) for model in (three, *three.members))
    scores = torch.stack([one.scores(one.states(arrays)) for one in alone])  # [M, B, n]
    torch.testing.assert_close(together.scores(together.states(arrays)), scores.mean(0), rtol=0, atol=1e-9)
    assert scores.std(0).min() > 0
    assert together.states(arrays).shape == (len(batch), three.width)


@torch.no_grad()
def test_what_is_computed_once_for_all_items_changes_nothing(three: Ensemble) -> None:
    rows, lengths = torch.arange(12).reshape(2, 6), torch.tensor([6, 3])
    users = three.users(rows, lengths)
    torch.testing.assert_close(users, three.users(rows, lengths, three.item_inputs()))
    torch.testing.assert_close(users, three(rows)[torch.arange(2), lengths - 1])
    keys, biases = three.catalogue()
    some = torch.tensor([7, 3])
    for whole, part in zip((keys, biases), three.catalogue(some), strict=True):
        torch.testing.assert_close(whole[some], part)


def test_the_first_member_is_the_one_that_would_be_made_alone(
    train_params: TrainParams, frozen: NDArray
) -> None:
    alone = new_recommender(train_params, frozen)
    first, second = new_recommender(train_params.model_copy(update={"members": 2}), frozen).members
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), alone.parameters(), strict=True))
    assert not torch.equal(first.head.weight, second.head.weight)
    assert first.items.frozen is second.items.frozen


def trained(
    params: TrainParams, frozen: NDArray, sequences: Sequences, folder: Path
) -> tuple[UserModel, Progress]:
    rising = iter(range(1, 10))  # so that the latest is the best
    model = new_recommender(params, frozen)
    return model, fit(
        model, sequences, params, lambda _: {"ndcg@10": float(next(rising))}, TrainingState(folder, "key")
    )


@pytest.mark.parametrize("loss", ["sampled_softmax", "softmax"])
def test_without_dropout_each_member_learns_what_it_would_alone(
    train_params: TrainParams, frozen: NDArray, sequences: Sequences, tmp_path: Path, loss: str
) -> None:
    one, two = (params_of(train_params, count).model_copy(update={"loss": loss}) for count in (1, 2))
    alone, curve = trained(one, frozen, sequences, tmp_path / "one")
    together, curves = trained(two, frozen, sequences, tmp_path / "two")
    first, second = together.members
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), alone.parameters(), strict=True))
    start = new_recommender(two, frozen).members[1]
    assert not any(torch.equal(a, b) for a, b in zip(second.parameters(), start.parameters(), strict=True))
    # The curve has the mean of the members' losses, which are alike.
    assert curves.curve[-1]["train_loss"] == pytest.approx(curve.curve[-1]["train_loss"], rel=0.1)
    assert curves.curve[-1]["train_loss"] != curve.curve[-1]["train_loss"]


def test_round_trip(three: Ensemble, train_params: TrainParams, frozen: NDArray, tmp_path: Path) -> None:
    params = train_params.model_copy(update={"members": 3})
    save_recommender(tmp_path / "model", three, params, "store")
    loaded, read = load_recommender(tmp_path / "model", frozen, "store")
    assert read == params
    assert torch.equal(loaded(torch.tensor([[1, 2, 3]])), three(torch.tensor([[1, 2, 3]])))
