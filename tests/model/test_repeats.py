"""Models of data in which users take items again: saved, averaged, trained in both losses, and scored."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hierrec.core.sequences import Sequences
from hierrec.model.checkpoint import load_model, new_model, save_model
from hierrec.model.ensemble import UserModel
from hierrec.model.params import TrainParams
from hierrec.model.scorer import Scorer
from hierrec.training.resume import TrainingState
from hierrec.training.trainer import fit, validator
from numpy.typing import NDArray

from tests.model.world import ITEMS, make_sequences

ALL = np.ones(ITEMS, np.bool_)
USERS = np.array([-1, -1, -1])
HISTORIES = [np.array(items, np.int64) for items in ([4, 2, 4, 9], [], [1] * 13)]


@pytest.fixture
def repeated() -> Sequences:
    """Users who take the item before last again two times out of three, else a random item."""
    generator = np.random.default_rng(2)
    users = []
    for _ in range(80):
        items = list(generator.integers(ITEMS, size=2))
        for _ in range(14):
            items.append(items[-2] if generator.random() < 2 / 3 else generator.integers(ITEMS))
        users.append(np.array(items))
    return replace(make_sequences(users), repeated=True)


def drawn(params: TrainParams, frozen: NDArray, repeated: bool = True) -> UserModel:
    """Return an untrained model whose weights are all drawn at random."""
    model, generator = new_model(params, frozen, repeated).eval(), torch.Generator().manual_seed(5)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "repeats." in name:
                parameter.normal_(generator=generator)
    return model


@pytest.mark.parametrize("loss", ["sampled_softmax", "softmax"])
def test_learns_which_items_are_taken_again(
    train_params: TrainParams, frozen: NDArray, repeated: Sequences, tmp_path: Path, loss: str
) -> None:
    params = train_params.model_copy(update={"loss": loss, "epochs": 10})
    model = new_model(params, frozen, repeated=True)
    progress = fit(model, repeated, validator(repeated, ALL), TrainingState(tmp_path, "key"))
    assert progress.best_metric > 0.6
    (weights,) = (member.repeats.log_weight.tolist() for member in model.members if member.repeats)
    assert weights[1] == max(weights)  # of the ages 1 and 2: the item before last has age 1
    assert weights[0] == min(weights)


@pytest.mark.parametrize("members", [1, 2])
@torch.no_grad()
def test_a_saved_model_gives_the_same_scores(
    train_params: TrainParams, frozen: NDArray, repeated: Sequences, tmp_path: Path, members: int
) -> None:
    model = drawn(train_params.model_copy(update={"members": members}), frozen)
    save_model(tmp_path / "model", model, "hash")
    loaded = load_model(tmp_path / "model", frozen, "hash")
    scores = [Scorer(one, ALL, sequences=repeated).score_histories(HISTORIES, USERS) for one in (model, loaded)]
    assert torch.equal(*scores)
    plain = new_model(train_params, frozen)
    save_model(tmp_path / "plain", plain, "hash")
    assert load_model(tmp_path / "plain", frozen, "hash").state_dict().keys() == plain.state_dict().keys()
    assert not any("repeats" in name for name in plain.state_dict())


@torch.no_grad()
def test_only_items_of_the_history_gain(train_params: TrainParams, frozen: NDArray, repeated: Sequences) -> None:
    model = drawn(train_params, frozen)
    scorer = Scorer(model, ALL, sequences=repeated)
    states = scorer.states(HISTORIES)
    plain = states @ scorer.model.item_keys()[0].T + scorer.model.item_keys()[1]  # [3, ITEMS]
    gained = (scorer.model_scores(states, HISTORIES) != plain).numpy()
    for row, history in zip(gained, HISTORIES, strict=True):
        assert set(np.flatnonzero(row)) == set(history.tolist())


@torch.no_grad()
def test_members_gain_their_mean(train_params: TrainParams, frozen: NDArray, repeated: Sequences) -> None:
    model = drawn(train_params.model_copy(update={"members": 2}), frozen)
    together, *alone = (
        Scorer(one, ALL, sequences=repeated).score_histories(HISTORIES, USERS) for one in (model, *model.members)
    )
    torch.testing.assert_close(together, torch.stack(alone).mean(0), rtol=0, atol=1e-9)
