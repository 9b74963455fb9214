"""Models of data with sessions rank the first item of a session, and learn from the later items too."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hierrec.core.sequences import Sequences
from hierrec.fusion.prefixes import prefix_states
from hierrec.model.checkpoint import load_model, new_model, save_model, state_of
from hierrec.model.ensemble import UserModel
from hierrec.model.params import TrainParams
from hierrec.model.scorer import Scorer
from hierrec.training.batches import training_batches
from hierrec.training.resume import TrainingState
from hierrec.training.trainer import fit, validator
from numpy.typing import NDArray

from tests.model.world import ITEMS, make_sequences

ALL = np.ones(ITEMS, np.bool_)


@pytest.fixture
def sessions() -> Sequences:
    """Visits of random lengths that walk on by one item a step; the next visit starts nine items on."""
    generator = np.random.default_rng(3)
    users, flags = [], []
    for _ in range(80):
        lengths = generator.integers(2, 6, 6)
        starts = np.zeros(lengths.sum(), np.bool_)
        starts[lengths[:-1].cumsum()] = True
        items = generator.integers(ITEMS) + np.where(starts, 9, 1).cumsum()
        # Training ends with a visit, so that the validation target starts the next one.
        users.append(items[: lengths[:-1].sum() + 2] % ITEMS)
        flags.append(starts[: len(users[-1])])
    return replace(make_sequences(users), session_starts=np.concatenate(flags), repeated=True)


def drawn(params: TrainParams, frozen: NDArray, repeated: bool) -> UserModel:
    """Return an untrained model whose layer for users who come back is drawn at random."""
    model, generator = new_model(params, frozen, repeated, sessions=True), torch.Generator().manual_seed(5)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "comeback." in name or "repeats." in name:
                parameter.normal_(generator=generator)
    return model.eval()


def test_each_target_of_a_batch_says_whether_it_starts_a_session(
    train_params: TrainParams, sessions: Sequences
) -> None:
    names = replace(sessions, items=np.arange(len(sessions.items)))  # an item names its place
    params = train_params.model_copy(update={"history": 7, "batch_windows": 3})
    for batch in training_batches(names, params, np.random.default_rng(0)):
        assert batch.session_starts is not None
        assert (batch.session_starts[batch.mask] == sessions.session_starts[batch.targets[batch.mask]]).all()


@pytest.mark.parametrize("loss", ["sampled_softmax", "softmax"])
@pytest.mark.parametrize("repeated", [False, True])
def test_ranks_what_starts_a_session(
    train_params: TrainParams, frozen: NDArray, sessions: Sequences, tmp_path: Path, loss: str, repeated: bool
) -> None:
    params = train_params.model_copy(update={"loss": loss, "epochs": 6})
    quality = []
    for data in (sessions, replace(sessions, session_starts=np.empty(0, np.bool_))):
        model = new_model(params, frozen, repeated, len(data.session_starts) > 0)
        state = TrainingState(tmp_path / str(len(data.session_starts)), "key")
        quality.append(fit(model, data, validator(data, ALL), state).best_metric)
    assert quality[0] > 0.9
    assert quality[1] < 0.8


def test_the_marks_of_held_out_items_change_nothing(
    train_params: TrainParams, frozen: NDArray, sessions: Sequences, tmp_path: Path
) -> None:
    flags = sessions.session_starts.copy()
    for start, length, stop in zip(sessions.offsets, sessions.train_length, sessions.offsets[1:], strict=False):
        flags[start + length : stop] ^= True
    states = []
    for name, data in (("a", sessions), ("b", replace(sessions, session_starts=flags))):
        model = new_model(train_params.model_copy(update={"epochs": 2}), frozen, True, True)
        fit(model, data, validator(data, ALL), TrainingState(tmp_path / name, "key"))
        states.append(state_of(model))
    assert all(torch.equal(states[1][name], value) for name, value in states[0].items())


def test_learns_in_bfloat16(train_params: TrainParams, frozen: NDArray, sessions: Sequences, tmp_path: Path) -> None:
    params = train_params.model_copy(update={"precision": "bfloat16", "epochs": 1})
    model = new_model(params, frozen, True, True)
    fit(model, sessions, None, TrainingState(tmp_path, "key"))
    (layer,) = (member.comeback for member in model.members if member.comeback)
    assert layer.weight.dtype == torch.float32
    assert layer.weight.any()


@pytest.mark.parametrize(("members", "repeated"), [(1, False), (2, True)])
@torch.no_grad()
def test_a_saved_model_gives_the_same_scores(
    train_params: TrainParams,
    frozen: NDArray,
    sessions: Sequences,
    tmp_path: Path,
    members: int,
    repeated: bool,
) -> None:
    model = drawn(train_params.model_copy(update={"members": members}), frozen, repeated)
    save_model(tmp_path / "model", model, "hash")
    loaded = load_model(tmp_path / "model", frozen, "hash")
    histories, users = sessions.test_histories()[:5], np.arange(5)
    scores = [Scorer(one, ALL, sequences=sessions).score_histories(histories, users) for one in (model, loaded)]
    assert torch.equal(*scores)


@torch.no_grad()
def test_remembered_states_are_those_of_queries(
    train_params: TrainParams, frozen: NDArray, sessions: Sequences
) -> None:
    model = drawn(train_params, frozen, repeated=False)
    prefixes = prefix_states(model, sessions)
    history = sessions.items[: prefixes.positions[2]]
    state = Scorer(model, ALL, dtype=torch.float32, sequences=sessions).states([history])[0]
    torch.testing.assert_close(torch.from_numpy(prefixes.states[2]), state, atol=1e-4, rtol=0)
