"""Only the very same training is resumed: its key counts all that determines it."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from hierrec.data.sequences import Sequences
from hierrec.params import TrainParams
from hierrec.recommender.checkpoint import new_recommender
from hierrec.recommender.resume import training_key
from numpy.typing import NDArray

from tests.recommender.world import ITEMS


def test_only_the_very_same_training_has_the_same_key(
    train_params: TrainParams, frozen: NDArray, sequences: Sequences, monkeypatch: pytest.MonkeyPatch
) -> None:
    candidates = np.ones(ITEMS, np.bool_)

    def key(params: TrainParams = train_params, vectors: NDArray = frozen, **changes: Any) -> str:
        data = replace(sequences, **changes.pop("data", {}))
        config = changes.pop("config", {})
        model = new_recommender(changes.pop("weights", params), vectors)
        model.members[0].backbone.config.update(config)
        given = {"candidates": candidates, "code": ["a"], **changes}
        return training_key(model, data, params=params, **given)

    others = [
        key(train_params.model_copy(update={"epochs": 5})),
        key(train_params.model_copy(update={"seed": 9})),
        key(train_params.model_copy(update={"precision": "bfloat16"})),
        key(train_params.model_copy(update={"processes": 2})),
        key(train_params.model_copy(update={"device": "cuda"})),
        key(weights=train_params.model_copy(update={"seed": 9})),
        key(vectors=frozen + 1),
        key(candidates=~candidates),
        key(code=["b"]),
        *(key(data={name: array + 1}) for name, array in vars(sequences).items()),
        key(config={"attention_dropout": 0.5}),  # as in the folder of a pre-trained backbone that was edited
    ]
    same = key()
    assert key() == same
    for library in (torch, transformers):
        with monkeypatch.context() as patch:
            patch.setattr(library, "__version__", f"{library.__version__}.1")
            others.append(key())
    assert len(others) == 17
    assert len({same, *others}) == 18
