"""Training learns, stops, resumes bit for bit, and never looks at a target that is held out."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hierrec.data.sequences import Sequences
from hierrec.errors import DataError, NumericalError
from hierrec.evaluation.evaluator import rank_targets
from hierrec.evaluation.metrics import metrics_from_ranks
from hierrec.params import TrainParams
from hierrec.recommender.checkpoint import new_recommender
from hierrec.recommender.ensemble import UserModel
from hierrec.recommender.hierarchical import HierarchicalRecommender
from hierrec.recommender.resume import Progress, TrainingState, training_key
from hierrec.recommender.trainer import Validate, fit
from numpy.typing import NDArray

from tests.recommender.world import ITEMS, make_sequences


def validator(sequences: Sequences, history: int) -> Validate:
    def validate(model: UserModel) -> dict[str, float]:
        scorer = HierarchicalRecommender(model, history, torch.float32)
        candidates = np.ones(ITEMS, np.bool_)
        histories = sequences.validation_histories()
        return metrics_from_ranks(rank_targets(scorer, histories, sequences.validation, candidates, 8))

    return validate


def constant(model: UserModel) -> dict[str, float]:
    return {"ndcg@10": 0.5}


def trained(
    params: TrainParams, frozen: NDArray, sequences: Sequences, validate: Validate, folder: Path
) -> tuple[UserModel, Progress]:
    model = new_recommender(params, frozen)
    return model, fit(model, sequences, params, validate, TrainingState(folder, "key"))


@pytest.mark.parametrize("loss", ["sampled_softmax", "softmax"])
def test_learns_to_walk_the_ring(
    train_params: TrainParams, frozen: NDArray, sequences: Sequences, tmp_path: Path, loss: str
) -> None:
    params = train_params.model_copy(update={"epochs": 25, "loss": loss})
    _, progress = trained(params, frozen, sequences, validator(sequences, 10), tmp_path)
    losses = [record["train_loss"] for record in progress.curve]
    assert losses[-1] < 0.5 * losses[0]
    assert progress.best_metric > 0.9


@pytest.mark.parametrize("members", [1, 2])
def test_a_run_interrupted_after_any_epoch_ends_with_the_same_weights(
    train_params: TrainParams, frozen: NDArray, sequences: Sequences, tmp_path: Path, members: int
) -> None:
    train_params = train_params.model_copy(update={"members": members})
    validate = validator(sequences, 10)
    expected, whole = trained(train_params, frozen, sequences, validate, tmp_path / "whole")

    class Killed(Exception):
        pass

    calls = 0

    def killed_in_epoch_three(model: UserModel) -> dict[str, float]:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise Killed
        return validate(model)

    with pytest.raises(Killed):
        trained(train_params, frozen, sequences, killed_in_epoch_three, tmp_path / "parts")
    resumed, parts = trained(train_params, frozen, sequences, validate, tmp_path / "parts")
    assert parts.curve == whole.curve
    state = resumed.state_dict()
    assert all(torch.equal(tensor, state[name]) for name, tensor in expected.state_dict().items())


def test_what_is_kept_is_the_average_of_the_weights(
    train_params: TrainParams, frozen: NDArray, sequences: Sequences, tmp_path: Path
) -> None:
    def head(average: float, epochs: int) -> torch.Tensor:
        params = train_params.model_copy(update={"average": average, "epochs": epochs, "batch_windows": 1000})
        folder = tmp_path / f"{average}-{epochs}"
        rising = iter(range(1, 10))  # so that the latest is the best
        model, _ = trained(params, frozen, sequences, lambda _: {"ndcg@10": float(next(rising))}, folder)
        return model.members[0].head.weight

    # One batch an epoch, so one step; the first update copies, the second has the share of `_update`.
    first, second = head(0.0, 1), head(0.0, 2)
    assert torch.equal(head(0.2, 1), first)
    assert torch.allclose(head(0.2, 2), torch.lerp(first, second, 9 / 11), atol=1e-7)
    assert not torch.equal(first, second)


def test_threads_do_not_make_two_trainings_differ(
    train_params: TrainParams, frozen: NDArray, sequences: Sequences, tmp_path: Path
) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        first, _ = trained(train_params, frozen, sequences, constant, tmp_path / "a")
        second, _ = trained(train_params, frozen, sequences, constant, tmp_path / "b")
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))


def test_width_zero_trains_on_frozen_vectors_alone(
    train_params: TrainParams, frozen: NDArray, sequences: Sequences, tmp_path: Path
) -> None:
    params = train_params.model_copy(update={"residual_width": 0, "epochs": 15})
    model, progress = trained(params, frozen, sequences, validator(sequences, 10), tmp_path)
    items = model.members[0].items
    assert torch.equal(items.vectors(), items.frozen)
    assert progress.best_metric > 0.5


def test_only_the_very_same_training_has_the_same_key(
    train_params: TrainParams, frozen: NDArray, sequences: Sequences
) -> None:
    candidates = np.ones(ITEMS, np.bool_)

    def key(params: TrainParams = train_params, vectors: NDArray = frozen, **changes: Any) -> str:
        data = replace(sequences, **changes.pop("data", {}))
        config = changes.pop("config", {})
        given = {"candidates": candidates, "code": ["a"], **changes}
        model = new_recommender(params, vectors)
        model.members[0].backbone.config.update(config)
        return training_key(model, data, params=params, **given)

    others = [
        key(train_params.model_copy(update={"epochs": 5})),
        key(train_params.model_copy(update={"seed": 9})),
        key(train_params.model_copy(update={"precision": "bfloat16"})),
        key(train_params.model_copy(update={"processes": 2})),
        key(train_params.model_copy(update={"device": "cuda"})),
        key(vectors=frozen + 1),
        key(candidates=~candidates),
        key(code=["b"]),
        key(data={"validation": sequences.validation + 1}),
        key(config={"attention_dropout": 0.5}),  # as in the folder of a pre-trained backbone that was edited
    ]
    assert key() == key()
    assert len({key(), *others}) == 11


def test_held_out_targets_never_reach_training(
    train_params: TrainParams, frozen: NDArray, sequences: Sequences, tmp_path: Path
) -> None:
    ends = sequences.offsets[1:]
    items = sequences.items.copy()
    held = sequences.validation >= 0
    items[ends[held] - 1] = (items[ends[held] - 1] + 5) % ITEMS
    items[ends[held] - 2] = (items[ends[held] - 2] + 7) % ITEMS
    changed = replace(
        sequences,
        items=items,
        validation=np.where(held, (sequences.validation + 7) % ITEMS, -1),
        test=np.where(held, (sequences.test + 5) % ITEMS, -1),
    )
    first, _ = trained(train_params, frozen, sequences, constant, tmp_path / "a")
    second, _ = trained(train_params, frozen, changed, constant, tmp_path / "b")
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))


def test_stops_early_and_keeps_the_best(
    train_params: TrainParams, frozen: NDArray, sequences: Sequences, tmp_path: Path
) -> None:
    heads = []

    def falling(model: UserModel) -> dict[str, float]:
        heads.append(model.members[0].head.weight.detach().clone())
        return {"ndcg@10": 1.0 / len(heads)}

    params = train_params.model_copy(update={"epochs": 20, "patience": 2})
    model, progress = trained(params, frozen, sequences, falling, tmp_path)
    assert progress.epoch == 3
    assert torch.equal(model.members[0].head.weight, heads[0])
    assert not torch.equal(heads[0], heads[-1])


def test_an_item_without_training_keeps_no_residual(
    train_params: TrainParams, frozen: NDArray, tmp_path: Path
) -> None:
    users = [np.arange(8) for _ in range(10)]
    params = train_params.model_copy(update={"residual_dropout": 0.0})  # else a step may pass an item by
    model, _ = trained(params, frozen, make_sequences(users), constant, tmp_path)
    residual = model.members[0].items.residual
    assert residual[:6].abs().sum(1).min() > 0
    assert not residual[6:].any()


def test_nothing_to_learn_is_an_error(train_params: TrainParams, frozen: NDArray, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nothing to learn"):
        trained(train_params, frozen, make_sequences([np.array([1]), np.array([2])]), constant, tmp_path)


def test_a_loss_that_explodes_is_an_error(
    train_params: TrainParams, frozen: NDArray, sequences: Sequences, tmp_path: Path
) -> None:
    broken = frozen.copy()
    broken[:] = np.inf
    with pytest.raises(NumericalError, match="loss"):
        trained(train_params, broken, sequences, constant, tmp_path)


def test_a_damaged_state_means_a_fresh_start(
    train_params: TrainParams, frozen: NDArray, sequences: Sequences, tmp_path: Path
) -> None:
    (tmp_path / "key.safetensors").write_bytes(b"not safetensors")
    _, progress = trained(train_params, frozen, sequences, constant, tmp_path)
    assert progress.epoch == train_params.epochs
