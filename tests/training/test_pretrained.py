"""A pre-trained backbone: frozen weights keep every bit, LoRA trains and is merged, interrupted runs resume."""

from pathlib import Path
from typing import Any

import pytest
import torch
from hierrec.core.errors import ModelError
from hierrec.core.sequences import Sequences
from hierrec.model.checkpoint import load_model, new_model, save_model
from hierrec.model.ensemble import UserModel
from hierrec.model.params import BackboneParams, TrainParams
from hierrec.refit.params import FinalParams
from hierrec.training.pretrained import LoRALinear, merge, parameter_groups, prepare
from hierrec.training.resume import Progress, TrainingState
from hierrec.training.trainer import fit
from numpy.typing import NDArray
from pydantic import ValidationError
from torch import Tensor
from transformers import GPT2Config, GPT2Model, LlamaConfig, LlamaForCausalLM, Phi3Config, Phi3Model

from tests.model.world import GPT2, LLAMA, PHI3, trained

SMALL: dict[str, Any] = LLAMA

KINDS: dict[str, Any] = {
    "llama": lambda: LlamaForCausalLM(LlamaConfig(vocab_size=11, **SMALL)),
    "phi3": lambda: Phi3Model(Phi3Config(vocab_size=11, pad_token_id=0, **SMALL)),
    "gpt2": lambda: GPT2Model(GPT2Config(vocab_size=11, **{key: GPT2[key] for key in GPT2 if key != "model_type"})),
}


def pretrained(params: TrainParams, folder: Path, kind: str = "llama", **changes: Any) -> TrainParams:
    """Save a random decoder, and return params that train it."""
    with torch.random.fork_rng():
        torch.manual_seed(7)
        KINDS[kind]().save_pretrained(folder / kind)
    backbone = BackboneParams(pretrained=str(folder / kind), revision=None, config={}, **changes)
    return params.model_copy(update={"backbone": backbone})


def weights(model: UserModel) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in model.members[0].backbone.state_dict().items()}


def fell(curve: list[dict[str, float]]) -> bool:
    return curve[-1]["train_loss"] < 0.9 * curve[0]["train_loss"]


def constant(model: UserModel) -> dict[str, float]:
    rising.append(1.0)
    return {"ndcg@10": float(len(rising))}  # so that the last weights are kept


rising: list[float] = []


@pytest.mark.parametrize("members", [1, 2])
def test_a_frozen_backbone_keeps_every_bit_and_the_rest_learns(
    train_params: TrainParams, frozen: NDArray, sequences: Sequences, tmp_path: Path, members: int
) -> None:
    params = pretrained(train_params, tmp_path, tuning="frozen").model_copy(update={"members": members})
    before = weights(new_model(params, frozen))
    model, progress = trained(params, frozen, sequences, constant, tmp_path)
    assert fell(progress.curve)
    for member in model.members:
        after = member.backbone.state_dict()
        assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())


@pytest.mark.parametrize("kind", ["llama", "phi3"])
def test_lora_learns_and_leaves_a_plain_model(
    train_params: TrainParams, frozen: NDArray, sequences: Sequences, tmp_path: Path, kind: str
) -> None:
    params = pretrained(train_params, tmp_path, kind, tuning="lora")
    before = weights(new_model(params, frozen))
    model, progress = trained(params, frozen, sequences, constant, tmp_path)
    assert fell(progress.curve)
    after = weights(model)
    assert after.keys() == before.keys()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {name for name in before if "proj" in name}  # the linear layers
    save_model(tmp_path / "saved", model, "hash")
    loaded = load_model(tmp_path / "saved", frozen, "hash")
    rows = torch.arange(6)[None]  # [1, T]
    assert torch.equal(loaded(rows), model(rows))


@pytest.mark.parametrize("kind", ["llama", "phi3"])
def test_a_merged_model_has_the_states_of_the_one_that_was_trained(
    train_params: TrainParams, frozen: NDArray, tmp_path: Path, kind: str
) -> None:
    model = new_model(pretrained(train_params, tmp_path, kind, tuning="lora"), frozen).eval()
    rows, lengths = torch.arange(12).view(2, 6), torch.tensor([6, 3])  # [B, T], [B]
    with torch.no_grad():
        untouched = model.states(rows, lengths)  # [B, D]
        prepare(model)
        layers = [layer for layer in model.modules() if isinstance(layer, LoRALinear)]
        assert torch.allclose(model.states(rows, lengths), untouched, atol=1e-5)  # the LoRA term starts at zero
        for layer in layers:
            layer.up.normal_()
        states = model.states(rows, lengths)
        merge(model)
        assert not any(isinstance(layer, LoRALinear) for layer in model.modules())
        assert torch.allclose(model.states(rows, lengths), states, atol=1e-5)
        assert not torch.allclose(states, untouched, atol=1e-2)
    assert all(weight.requires_grad for weight in model.parameters())


@pytest.mark.parametrize("tuning", ["full", "lora", "frozen"])
def test_an_interrupted_training_ends_with_the_same_weights(
    train_params: TrainParams, frozen: NDArray, sequences: Sequences, tmp_path: Path, tuning: str
) -> None:
    params = pretrained(train_params, tmp_path, tuning=tuning, learning_rate=1e-3)
    whole, _ = trained(params, frozen, sequences, None, tmp_path / "whole")

    class Killed(Exception):
        pass

    class State(TrainingState):
        def save(self, model: Any, average: Any, optimizer: Any, progress: Progress) -> None:
            super().save(model, average, optimizer, progress)
            if progress.epoch == 2:
                raise Killed

    with pytest.raises(Killed):
        fit(new_model(params, frozen), sequences, None, State(tmp_path / "parts", "key"))
    resumed, _ = trained(params, frozen, sequences, None, tmp_path / "parts")
    state = resumed.state_dict()
    assert all(torch.equal(tensor, state[name]) for name, tensor in whole.state_dict().items())


def test_what_is_pretrained_has_its_own_learning_rate(
    train_params: TrainParams, frozen: NDArray, tmp_path: Path
) -> None:
    shared = parameter_groups(new_model(pretrained(train_params, tmp_path), frozen))
    assert [group["initial_lr"] for group in shared] == [train_params.learning_rate]
    model = new_model(pretrained(train_params, tmp_path, learning_rate=1e-4), frozen)
    own = {group["initial_lr"]: group["params"] for group in parameter_groups(model)}
    assert own.keys() == {train_params.learning_rate, 1e-4}
    assert {*map(id, own[1e-4])} == {*map(id, model.members[0].backbone.parameters())}
    assert sum(map(len, own.values())) == len(list(model.parameters()))


def test_a_further_training_scales_both_learning_rates(train_params: TrainParams, tmp_path: Path) -> None:
    for own, scaled in ((1e-4, 2e-5), (None, None)):
        params = pretrained(train_params, tmp_path, learning_rate=own)
        slower = params.with_rate(params.learning_rate / 5)
        assert slower.learning_rate == train_params.learning_rate / 5
        assert slower.backbone.learning_rate == (scaled and pytest.approx(scaled))


def test_weights_of_a_pretrained_backbone_are_trained_further_and_not_anew(
    train_params: TrainParams, tmp_path: Path
) -> None:
    final = FinalParams(fit=True, start="auto", epochs=1, rate=0.3)
    sparse = train_params.model_copy(update={"residual_start": "co_occurrence"})
    assert final.new_for(sparse)
    assert not final.new_for(pretrained(sparse, tmp_path))  # its config does not name the folder


def test_a_small_learning_rate_changes_little_of_what_is_pretrained(
    train_params: TrainParams, frozen: NDArray, sequences: Sequences, tmp_path: Path
) -> None:
    params = pretrained(train_params, tmp_path, learning_rate=1e-6)
    before = weights(new_model(params, frozen))
    after = weights(trained(params, frozen, sequences, None, tmp_path)[0])
    moved = max(float((after[name] - before[name]).abs().max()) for name in before)
    assert 0 < moved < 1e-4


# 900 weights around a backbone of 2,608; LoRA adds 8 x 32 to four layers, and 8 x 48 to three.
@pytest.mark.parametrize(
    ("tuning", "total", "learned"), [("full", 3_508, 3_508), ("lora", 5_684, 3_076), ("frozen", 3_508, 900)]
)
def test_the_cost_is_said_before_the_training(
    train_params: TrainParams,
    frozen: NDArray,
    sequences: Sequences,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    tuning: str,
    total: int,
    learned: int,
) -> None:
    trained(pretrained(train_params, tmp_path, tuning=tuning), frozen, sequences, None, tmp_path)
    assert f"train: {total:,} weights, {learned:,} of them trained; " in capsys.readouterr().err


def test_lora_needs_linear_layers(
    train_params: TrainParams, frozen: NDArray, sequences: Sequences, tmp_path: Path
) -> None:
    params = pretrained(train_params, tmp_path, "gpt2", tuning="lora")
    with pytest.raises(ModelError, match=r"gpt2 has no linear layers(.|\n)*full or frozen"):
        trained(params, frozen, sequences, None, tmp_path)


@pytest.mark.parametrize("changes", [{"tuning": "lora"}, {"learning_rate": 1e-4}])
def test_a_backbone_from_a_config_has_no_such_settings(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="name one in pretrained"):
        BackboneParams(pretrained=None, revision=None, config=PHI3, **changes)
