"""The state after every training prefix is the one that the model gives for that prefix."""

import numpy as np
import torch
from hierrec.fusion.prefixes import prefix_states
from hierrec.model.checkpoint import new_model
from hierrec.model.params import TrainParams
from hierrec.model.scorer import Scorer
from numpy.typing import NDArray

from tests.model.world import ITEMS, make_sequences


def test_every_prefix_once_with_its_state(train_params: TrainParams, frozen: NDArray) -> None:
    generator = np.random.default_rng(0)
    sequences = make_sequences([generator.integers(ITEMS, size=length) for length in (1, 2, 3, 12, 33, 64)])
    model = new_model(train_params, frozen).eval()
    scorer = Scorer(model, np.ones(ITEMS, np.bool_), dtype=torch.float32)
    prefixes = prefix_states(model, sequences, batch_windows=3)
    expected = [
        (user, position)
        for user in range(sequences.user_count)
        for position in range(1, sequences.train_length[user])
    ]
    assert list(zip(prefixes.users, prefixes.positions, strict=True)) == expected
    for index, (user, position) in enumerate(expected):
        items = sequences.training_items(user)
        assert prefixes.next_items[index] == items[position]
        contexts = [
            scorer.states([items[:position][-length:]])[0]
            for length in range(min(5, position), min(10, position) + 1)
        ]
        state = torch.from_numpy(prefixes.states[index])
        assert any(torch.allclose(state, context, atol=1e-4) for context in contexts)
