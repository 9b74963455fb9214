"""Fixtures of models: item vectors, params, users who walk along a ring of items."""

import numpy as np
import pytest
from hierrec.core.sequences import Sequences
from hierrec.model.params import BackboneParams, PoolingParams, TrainParams
from numpy.typing import NDArray

from tests.model.world import ITEMS, PHI3, make_sequences


@pytest.fixture
def train_params() -> TrainParams:
    """Params of a tiny model."""
    return TrainParams(
        seed=3,
        history=10,
        residual_width=8,
        residual_dropout=0.1,
        input_dropout=0.1,
        backbone=BackboneParams(pretrained=None, revision=None, config=PHI3),
        pooling=PoolingParams(kind="last", window=3),
        loss="sampled_softmax",
        negatives=16,
        epochs=4,
        batch_windows=16,
        learning_rate=1e-2,
        weight_decay=0.0,
        warmup_steps=1,
        gradient_clip=1.0,
        average=0.5,
        validate_every=1,
        patience=10,
    )


@pytest.fixture
def frozen() -> NDArray[np.float32]:
    """Item vectors, float32 [ITEMS, 12]."""
    return np.random.default_rng(0).standard_normal((ITEMS, 12)).astype(np.float32)


@pytest.fixture
def sequences() -> Sequences:
    """Forty users who step from item i to i + 1 around the ring, of lengths 1 to 23."""
    generator = np.random.default_rng(1)
    return make_sequences([(generator.integers(ITEMS) + np.arange(1 + user % 23)) % ITEMS for user in range(40)])
