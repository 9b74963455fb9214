"""An item encoder by its model, its length and the settings that differ."""

from pathlib import Path
from typing import Any

from hierrec.encode.encoder import ItemEncoder
from hierrec.encode.params import EncodeParams


def encode_params(model: str | Path, max_length: int, **settings: Any) -> EncodeParams:
    """Return section `encode`; `settings` are not checked, so that a device may be one that torch has made up."""
    unused = {"revision": None, "template": "{title}", "batch_tokens": 64, "whitening_dimension": None}
    return EncodeParams.model_construct(**unused | {"model": str(model), "max_length": max_length} | settings)


def item_encoder(model: str | Path, max_length: int, **settings: Any) -> ItemEncoder:
    """Return the encoder of these settings."""
    return ItemEncoder.of(encode_params(model, max_length, **settings))
