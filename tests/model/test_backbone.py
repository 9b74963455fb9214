"""Any causal decoder of transformers is a backbone; nothing else is."""

from pathlib import Path
from typing import Any

import pytest
import torch
from hierrec.core.errors import ModelError, ParamsError
from hierrec.model.backbone import build_backbone
from hierrec.model.params import BackboneParams
from safetensors.torch import load_file, save_file
from transformers import LlamaConfig, LlamaForCausalLM

from tests.model.world import GPT2, LLAMA, PHI3


def backbone(*, pretrained: str | None = None, **config: Any) -> BackboneParams:
    return BackboneParams(pretrained=pretrained, revision=None, config=config)


@pytest.mark.parametrize(
    "config",
    [
        PHI3,
        GPT2,
        {"model_type": "llama", **LLAMA},
        {
            "model_type": "opt",
            "hidden_size": 16,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "ffn_dim": 8,
            "word_embed_proj_dim": 16,
        },
    ],
    ids=lambda config: config["model_type"],
)
def test_decoders_read_vectors_and_carry_no_token_table(config: dict[str, Any]) -> None:
    model = build_backbone(backbone(**config), history=20)
    assert model(inputs_embeds=torch.zeros(2, 20, 16)).last_hidden_state.shape == (2, 20, 16)
    assert not any("embed_tokens" in name or "wte" in name for name, _ in model.named_parameters())


def test_a_pretrained_decoder_keeps_its_weights(tmp_path: Path) -> None:
    torch.manual_seed(0)
    saved = LlamaForCausalLM(LlamaConfig(vocab_size=11, **LLAMA))  # type: ignore[arg-type]
    saved.save_pretrained(tmp_path)
    model = build_backbone(backbone(pretrained=str(tmp_path)), history=8)
    inputs = torch.randn(1, 8, 16, generator=torch.Generator().manual_seed(1))
    expected = saved.model.eval()(inputs_embeds=inputs).last_hidden_state
    torch.testing.assert_close(model(inputs_embeds=inputs).last_hidden_state, expected)


def test_an_encoder_is_refused_because_it_reads_the_future() -> None:
    sizes: dict[str, Any] = {"num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    with pytest.raises(ModelError, match="future"):
        build_backbone(backbone(model_type="bert", hidden_size=16, **sizes), history=8)


def test_an_unknown_model_type_names_the_key() -> None:
    with pytest.raises(ParamsError, match=r"train\.backbone\.config\.model_type"):
        build_backbone(backbone(model_type="gpt5000"), history=8)


@pytest.mark.parametrize(
    "config",
    [{"num_hidden_layers": "two"}, {"hidden_size": None}, {"hidden_act": "nope"}, {"num_attention_heads": 0}],
    ids=lambda config: next(iter(config)),
)
def test_a_bad_value_is_a_params_error(config: dict[str, Any]) -> None:
    with pytest.raises(ParamsError, match=r"train\.backbone"):
        build_backbone(backbone(**{**PHI3, **config}), history=8)


@pytest.mark.parametrize("key", ["num_hidden_layers", "num_attention_heads", "hidden_size"])
@pytest.mark.parametrize("value", [0, -1])
def test_a_size_of_nothing_is_a_typed_error(key: str, value: int) -> None:
    with pytest.raises((ModelError, ParamsError), match=r"train\.backbone"):
        build_backbone(backbone(**{**PHI3, key: value}), history=8)


def test_a_hub_model_needs_its_commit() -> None:
    with pytest.raises(ModelError, match="commit"):
        build_backbone(backbone(pretrained="some/decoder"), history=8)


@pytest.mark.parametrize("content", [b"", b"garbage", None])
def test_damaged_or_missing_weights_are_refused(tmp_path: Path, content: bytes | None) -> None:
    LlamaForCausalLM(LlamaConfig(vocab_size=11, **LLAMA)).save_pretrained(tmp_path)  # type: ignore[arg-type]
    weights = tmp_path / "model.safetensors"
    if content is None:
        tensors = load_file(weights)
        save_file({name: t for name, t in tensors.items() if "mlp" not in name}, weights, {"format": "pt"})
    else:
        weights.write_bytes(content)
    with pytest.raises(ModelError, match="what to do"):
        build_backbone(backbone(pretrained=str(tmp_path)), history=8)


def test_an_unknown_setting_names_the_key() -> None:
    with pytest.raises(ParamsError, match=r"config\.num_layers"):
        build_backbone(backbone(model_type="phi3", num_layers=1), history=8)


def test_a_refused_setting_is_reported() -> None:
    with pytest.raises(ParamsError, match="refuses"):
        build_backbone(backbone(model_type="gpt2", n_embd=15, n_head=2, n_layer=1), history=8)


def test_too_few_positions_are_refused() -> None:
    with pytest.raises(ParamsError, match="positions"):
        build_backbone(backbone(model_type="gpt2", n_embd=16, n_layer=1, n_head=2, n_positions=10), history=11)


def test_a_missing_pretrained_model_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="what to do"):
        build_backbone(backbone(pretrained=str(tmp_path / "nothing")), history=8)
