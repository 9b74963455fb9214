"""The recommendation LLM: any transformers decoder that accepts `inputs_embeds`."""

from pathlib import Path

import torch
from torch import nn
from transformers import CONFIG_MAPPING, AutoConfig, AutoModel, PreTrainedConfig, PreTrainedModel

from ..core.errors import ModelError, ParamsError
from ..core.params import COMMIT, HUB_ID
from .params import BackboneParams
from .phi3 import reads_one_position, state_at

KEY = "params.yaml, key train.backbone"


def build_backbone(params: BackboneParams, history: int) -> PreTrainedModel:
    """Build the decoder from its config, or load a pre-trained one by name or path.

    Random weights come from torch's global generator: seed it first. The model's forward takes `inputs_embeds`
    [B, T, D], T <= `history`; it has no token embedding table. Raises ``ParamsError`` for an unknown model type or key,
    or fewer positions than `history`; ``ModelError`` if it cannot be loaded, or is not a causal decoder.
    """
    config = _config(params, history)
    model = _load(params.pretrained, params.revision, config) if params.pretrained else empty_backbone(config)
    _accept_vectors(model)
    return model


def check_backbone(params: BackboneParams, history: int) -> None:
    """Raise as `build_backbone`, but do not read the weights of a pre-trained model."""
    config = _config(params, history)
    if not params.pretrained:
        _accept_vectors(empty_backbone(config))


def _config(params: BackboneParams, history: int) -> PreTrainedConfig:
    config = _pretrained_config(params) if params.pretrained else _new_config(params)
    config.use_cache = False
    positions = getattr(config, "max_position_embeddings", None)
    if positions is not None and positions < history:
        what = f"the backbone reads {positions} positions, but train.history is {history}"
        remedy = "shorten train.history, or raise max_position_embeddings in train.backbone.config"
        raise ParamsError(what, KEY, remedy)
    return config


def _pretrained_config(params: BackboneParams) -> PreTrainedConfig:
    name = params.pretrained or ""
    is_folder = Path(name).is_dir()
    if not is_folder and not HUB_ID.fullmatch(name):
        raise ModelError(f"there is no folder {name!r}", f"{KEY}.pretrained", "correct the path, or name a hub model")
    if not is_folder and not COMMIT.fullmatch(params.revision or ""):
        what = f"{name} is not a folder, and a hub model needs its commit: 40 hexadecimal digits"
        remedy = "name the commit, or a folder; a branch could point to another model tomorrow"
        raise ModelError(what, f"{KEY}.revision", remedy)
    try:
        return AutoConfig.from_pretrained(name, revision=params.revision, trust_remote_code=False)
    except Exception as error:  # transformers raises anything from OSError to KeyError
        raise _unloadable(name, error) from None


def _new_config(params: BackboneParams) -> PreTrainedConfig:
    keys = dict(params.config)
    model_type = keys.pop("model_type", None)
    if not isinstance(model_type, str) or model_type not in CONFIG_MAPPING:
        what = f"transformers has no model type {model_type!r}"
        raise ParamsError(what, f"{KEY}.config.model_type", "e.g. phi3, gpt2")
    config = AutoConfig.for_model(model_type)
    config.vocab_size = 1  # no token is embedded; the default would allocate a table of 50,000 rows
    config.bos_token_id = config.eos_token_id = config.pad_token_id = None
    for key, value in keys.items():
        where = f"{KEY}.config.{key}"
        if not hasattr(config, key):
            remedy = f"correct the key, or leave it out: dvc exp run -S '~train.backbone.config.{key}'"
            raise ParamsError(f"{model_type} has no such setting", where, remedy)
        try:
            setattr(config, key, value)
        except Exception as error:  # each check in transformers raises its own type
            raise ParamsError(f"{value!r} is refused: {error}", where, "correct the value") from None
    return config


def empty_backbone(config: PreTrainedConfig) -> PreTrainedModel:
    """Build a model with random weights from torch's global generator; raise ``ParamsError`` if the config is wrong."""
    try:
        return AutoModel.from_config(config, trust_remote_code=False)
    except Exception as error:  # anything from ZeroDivisionError to KeyError
        what = f"transformers refuses this config: {error}"
        raise ParamsError(what, f"{KEY}.config", "correct its values") from None


def _load(name: str, revision: str | None, config: PreTrainedConfig) -> PreTrainedModel:
    try:
        model, report = AutoModel.from_pretrained(
            name,
            revision=revision,
            config=config,
            dtype=torch.float32,
            use_safetensors=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
    except Exception as error:  # anything from OSError to KeyError
        raise _unloadable(name, error) from None
    if missing := report["missing_keys"]:
        what = f"{name} has no weights {', '.join(sorted(missing))}"
        raise ModelError(what, f"{KEY}.pretrained", "save the whole model again")
    return model


def _unloadable(name: str, error: Exception) -> ModelError:
    remedy = "give a path with config.json and model.safetensors, or a hub id and its revision; null: from the config"
    return ModelError(f"cannot load {name}: {error}", f"{KEY}.pretrained", remedy)


def _accept_vectors(model: PreTrainedModel) -> None:
    """Drop the token embedding table, and refuse a model that is not causal: it would see the target in training."""
    generator = torch.Generator().manual_seed(0)
    model_type = model.config.model_type
    try:
        model.set_input_embeddings(nn.Identity())
        inputs = torch.randn(2, 4, model.config.hidden_size, generator=generator)  # [2, 4, D]
        inputs[1, :3] = inputs[0, :3]
        model.eval()
        with torch.no_grad():
            states = model(inputs_embeds=inputs).last_hidden_state  # [2, 4, D]
            if reads_one_position(model):
                state_at(model, inputs, torch.tensor([3, 3]))  # [2, D]
    except Exception as error:  # anything from NotImplementedError to IndexError
        what = f"{model_type} does not read a sequence of vectors: {error}"
        remedy = "correct its config (do the heads share the width?), or name another decoder, e.g. phi3, gpt2"
        raise ModelError(what, KEY, remedy) from None
    if not torch.allclose(states[0, :3], states[1, :3], atol=1e-5):
        raise ModelError(f"{model_type} reads the future of a sequence", KEY, "name a causal decoder, e.g. phi3")
