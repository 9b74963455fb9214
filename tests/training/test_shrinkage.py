"""Shrinkage reduces residuals and length differences of rare items; it is kept if validation gains."""

from pathlib import Path

import pytest
import torch
from hierrec.core.sequences import Sequences
from hierrec.model.checkpoint import load_model, new_model, save_model
from hierrec.model.ensemble import UserModel
from hierrec.model.params import TrainParams
from hierrec.training.trainer import shrink
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor

from tests.model.world import ITEMS, trained

COUNTS = torch.tensor([0, 5, 1_000_000_000] * (ITEMS // 3))


def learned(params: TrainParams, frozen: NDArray) -> UserModel:
    model = new_model(params, frozen).eval()
    with torch.no_grad():
        for member in model.members:
            member.items.residual.normal_(generator=torch.Generator().manual_seed(0))
    return model


@torch.no_grad()
def lengths(model: UserModel) -> Tensor:
    return model.item_keys()[0].norm(dim=1)


@torch.no_grad()
@pytest.mark.parametrize("members", [1, 2])
def test_an_item_keeps_its_share_of_residual_and_length(
    train_params: TrainParams, frozen: NDArray, members: int
) -> None:
    frozen[2] = 0  # an item without text: only its residual
    model = learned(train_params.model_copy(update={"members": members}), frozen)
    before = [member.items.residual.clone() for member in model.members]
    shrink(model, COUNTS, 5)
    for member, residual in zip(model.members, before, strict=True):
        share = torch.tensor([0, 0.5, 1] * (ITEMS // 3))
        torch.testing.assert_close(member.items.residual, residual * share[:, None])
        own = (member.items.vectors() @ member.head.weight).norm(dim=1)  # without the factor
        typical = own[COUNTS > 0].log().mean().exp()
        torch.testing.assert_close(lengths(member), own**share * typical ** (1 - share))
    torch.testing.assert_close(lengths(model)[0::3].std(), torch.tensor(0.0), rtol=0, atol=1e-5)


def test_an_item_without_any_vector_stays_finite(train_params: TrainParams, frozen: NDArray) -> None:
    frozen[0] = 0  # its count is 0, too
    model = learned(train_params, frozen)
    shrink(model, COUNTS, 5)
    assert not lengths(model)[0]
    assert lengths(model).isfinite().all()


@pytest.mark.parametrize("gain", [0.1, 0.0])
def test_it_is_kept_where_validation_gains_by_it(
    train_params: TrainParams, frozen: NDArray, sequences: Sequences, tmp_path: Path, gain: float
) -> None:
    def validate(model: UserModel) -> dict[str, float]:
        return {"ndcg@10": 0.5 + gain * bool((model.members[0].key_scale != 1).any())}

    plain, _ = trained(train_params, frozen, sequences, validate, tmp_path / "plain")
    params = train_params.model_copy(update={"shrinkage": 5.0})
    model, progress = trained(params, frozen, sequences, validate, tmp_path / "shrunk")
    assert (progress.shrunk, progress.best_metric) == (gain > 0, 0.5 + gain)
    if gain:
        shrink(plain, torch.from_numpy(sequences.training_counts(ITEMS)), 5)
    state = model.state_dict()
    assert all(torch.equal(tensor, state[name]) for name, tensor in plain.state_dict().items())


@torch.no_grad()
def test_it_comes_back_from_disk_and_older_models_have_none(
    train_params: TrainParams, frozen: NDArray, tmp_path: Path
) -> None:
    model = learned(train_params, frozen)
    shrink(model, COUNTS, 5)
    save_model(tmp_path, model, "store")
    assert torch.equal(load_model(tmp_path, frozen, "store").item_keys()[0], model.item_keys()[0])
    weights = load_file(tmp_path / "model.safetensors")
    del weights["key_scale"]
    save_file(weights, tmp_path / "model.safetensors")
    (tmp_path / "checksums.json").unlink()
    config = tmp_path / "config.json"
    config.write_text(config.read_text().replace('"schema_version": 2', '"schema_version": 1'))
    member = load_model(tmp_path, frozen, "store").members[0]
    assert torch.equal(member.key_scale, torch.ones(ITEMS))
