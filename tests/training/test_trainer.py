"""Training learns, stops, resumes bit for bit, and never reads a held-out target."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hierrec.core.errors import DataError, NumericalError
from hierrec.core.sequences import Sequences
from hierrec.model.checkpoint import new_model
from hierrec.model.ensemble import UserModel
from hierrec.model.params import TrainParams
from hierrec.model.scorer import Scorer
from hierrec.ranking.evaluator import rank_targets
from hierrec.ranking.metrics import metrics_from_ranks
from hierrec.training.distributed import Processes
from hierrec.training.objective import Objective
from hierrec.training.resume import TrainingState
from hierrec.training.trainer import Validate, fit
from numpy.typing import NDArray
from torch import Tensor, nn

from tests.model.world import ITEMS, make_sequences, trained


def validator(sequences: Sequences) -> Validate:
    def validate(model: UserModel) -> dict[str, float]:
        candidates = np.ones(ITEMS, np.bool_)
        scorer = Scorer(model, candidates, dtype=torch.float32)
        histories = sequences.validation_histories()
        return metrics_from_ranks(rank_targets(scorer, histories, sequences.validation, candidates, 8))

    return validate


def constant(model: UserModel) -> dict[str, float]:
    return {"ndcg@10": 0.5}


def worse_by_training(model: UserModel) -> dict[str, float]:
    residual = model.members[0].items.residual.detach()  # from zero: it grows
    return {"ndcg@10": 1 / (1 + float(residual.abs().sum()))}


def head_after_a_step(
    params: TrainParams, frozen: NDArray, sequences: Sequences, folder: Path, **changes: Any
) -> Tensor:
    params = params.model_copy(update={"epochs": 1, "batch_windows": 1000, **changes})
    model, _ = trained(params, frozen, sequences, constant, folder / str(changes))
    return model.members[0].head.weight


@pytest.mark.parametrize("loss", ["sampled_softmax", "softmax"])
def test_learns_to_walk_the_ring(
    train_params: TrainParams, frozen: NDArray, sequences: Sequences, tmp_path: Path, loss: str
) -> None:
    params = train_params.model_copy(update={"epochs": 25, "loss": loss})
    _, progress = trained(params, frozen, sequences, validator(sequences), tmp_path)
    losses = [record["train_loss"] for record in progress.curve]
    assert losses[-1] < 0.5 * losses[0]
    assert progress.best_metric > 0.9


@pytest.mark.parametrize(("members", "epochs", "improves"), [(1, 4, True), (2, 4, True), (1, 9, False)])
def test_a_run_interrupted_after_any_epoch_ends_with_the_same_weights(
    train_params: TrainParams,
    frozen: NDArray,
    sequences: Sequences,
    tmp_path: Path,
    members: int,
    epochs: int,
    improves: bool,
) -> None:
    train_params = train_params.model_copy(update={"members": members, "epochs": epochs, "patience": 3})
    validate = validator(sequences) if improves else worse_by_training
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
    assert len(whole.curve) == 4  # if it gets worse: the best, and three of patience
    state = resumed.state_dict()
    assert all(torch.equal(tensor, state[name]) for name, tensor in expected.state_dict().items())


def test_what_is_kept_is_the_average_of_the_weights(
    train_params: TrainParams, frozen: NDArray, sequences: Sequences, tmp_path: Path
) -> None:
    def head(average: float, epochs: int) -> Tensor:
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


def test_without_validation_all_epochs_are_trained_and_the_last_average_is_kept(
    train_params: TrainParams, frozen: NDArray, sequences: Sequences, tmp_path: Path
) -> None:
    params = train_params.model_copy(update={"patience": 1})
    rising = iter(range(1, 10))  # so that the latest is the best
    expected, _ = trained(params, frozen, sequences, lambda _: {"ndcg@10": float(next(rising))}, tmp_path / "a")
    model, progress = trained(params, frozen, sequences, None, tmp_path / "b")
    assert (progress.epoch, progress.curve) == (params.epochs, [])
    state = model.state_dict()
    assert all(torch.equal(tensor, state[name]) for name, tensor in expected.state_dict().items())


def test_warmup_makes_the_first_step_shorter(
    train_params: TrainParams, frozen: NDArray, sequences: Sequences, tmp_path: Path
) -> None:
    start = new_model(train_params, frozen).members[0].head.weight
    long, short = (
        head_after_a_step(train_params, frozen, sequences, tmp_path, warmup_steps=steps) - start for steps in (1, 10)
    )
    assert long.any()
    assert torch.allclose(short, long / 10, atol=1e-7)


@pytest.mark.parametrize(("name", "value"), [("gradient_clip", 1e-9), ("weight_decay", 0.5)])
def test_clipping_and_decay_change_a_step(
    train_params: TrainParams,
    frozen: NDArray,
    sequences: Sequences,
    tmp_path: Path,
    name: str,
    value: float,
) -> None:
    usual = head_after_a_step(train_params, frozen, sequences, tmp_path)
    changed = head_after_a_step(train_params, frozen, sequences, tmp_path, **{name: value})
    assert not torch.allclose(usual, changed, atol=1e-5)


def test_negatives_are_drawn_alike_from_all_items_with_training(
    train_params: TrainParams, frozen: NDArray, tmp_path: Path
) -> None:
    drawn_by: list[Tensor] = []

    class Watching(Processes):
        def parallel(self, module: nn.Module) -> nn.Module:
            assert isinstance(module, Objective)
            drawn_by.append(module.probability)
            return super().parallel(module)

    model = new_model(train_params, frozen)
    sequences = make_sequences([np.arange(10), np.arange(5)])  # training: items 0 to 7, the first three twice
    fit(model, sequences, constant, TrainingState(tmp_path, "key"), Watching())
    assert torch.equal(drawn_by[0], torch.tensor([1 / 8] * 8 + [0.0] * (ITEMS - 8)))


def test_the_last_epoch_is_always_validated_and_each_validation_is_a_line_of_the_log(
    train_params: TrainParams,
    frozen: NDArray,
    sequences: Sequences,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    params = train_params.model_copy(update={"epochs": 3, "validate_every": 2})
    _, progress = trained(params, frozen, sequences, constant, tmp_path)
    assert [record["epoch"] for record in progress.curve] == [2, 3]
    lines = [line for line in capfd.readouterr().err.splitlines() if "epoch=" in line]
    for line, record in zip(lines, progress.curve, strict=True):
        loss = f"loss={record['train_loss']:.3f}"
        for part in (f"epoch={record['epoch']}", loss, "ndcg@10=0.5000", "best=0.5000", " left"):
            assert part in line


def test_training_leaves_the_global_random_state_alone(
    train_params: TrainParams, frozen: NDArray, sequences: Sequences, tmp_path: Path
) -> None:
    before = torch.get_rng_state()
    head_after_a_step(train_params, frozen, sequences, tmp_path)
    assert torch.equal(torch.get_rng_state(), before)


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
    model, progress = trained(params, frozen, sequences, validator(sequences), tmp_path)
    items = model.members[0].items
    assert torch.equal(items.vectors(), items.frozen)
    assert progress.best_metric > 0.5


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


@pytest.mark.parametrize("fall", [0.1, 0.0, -1e-9])  # the last is less than the learning curve shows
def test_stops_early_and_keeps_the_first_of_the_best(
    train_params: TrainParams, frozen: NDArray, sequences: Sequences, tmp_path: Path, fall: float
) -> None:
    heads = []

    def falling(model: UserModel) -> dict[str, float]:
        heads.append(model.members[0].head.weight.detach().clone())
        return {"ndcg@10": 1.0 - fall * len(heads)}

    params = train_params.model_copy(update={"epochs": 5, "patience": 2})
    model, progress = trained(params, frozen, sequences, falling, tmp_path)
    assert progress.epoch == 3
    assert torch.equal(model.members[0].head.weight, heads[0])
    assert not torch.equal(heads[0], heads[-1])


def test_an_item_without_training_keeps_no_residual(train_params: TrainParams, frozen: NDArray, tmp_path: Path) -> None:
    users = [np.arange(8) for _ in range(10)]
    params = train_params.model_copy(update={"residual_dropout": 0.0})  # else a step may skip an item
    model, _ = trained(params, frozen, make_sequences(users), constant, tmp_path)
    residual = model.members[0].items.residual
    assert residual[:6].abs().sum(1).min() > 0
    assert not residual[6:].any()


def test_users_who_come_after_the_cut_do_not_hide_what_others_teach(
    train_params: TrainParams, frozen: NDArray, tmp_path: Path
) -> None:
    late = make_sequences([np.array([0, 1]), *[np.array([2])] * 5])
    late = replace(late, train_length=np.array([2, 0, 0, 0, 0, 0]))
    _, progress = trained(train_params, frozen, late, constant, tmp_path)
    assert progress.epoch


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
