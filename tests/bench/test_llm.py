"""The comparisons with a pre-trained decoder: their users."""

import numpy as np
from hierrec.core.sequences import Sequences
from hierrec.model.inputs import Inputs

from bench.llm.record import some_users
from tests.model.world import ITEMS


def test_some_users_keep_their_latest_items_and_their_targets(sequences: Sequences) -> None:
    candidates = np.ones(ITEMS, np.bool_)
    inputs = Inputs(None, sequences, candidates, candidates, np.zeros((ITEMS, 2), np.float32), "")  # type: ignore[arg-type]
    some = some_users(inputs, 3, 5).sequences
    users = range(0, sequences.user_count, 3)
    for kept, user in enumerate(users):
        assert some.training_items(kept).tolist() == sequences.training_items(user)[-5:].tolist()
        assert some.validation[kept] == sequences.validation[user]
        assert some.test_histories()[kept].tolist() == sequences.test_histories()[user][-6:].tolist()
    assert some.user_count == len(users)
    assert some_users(inputs, 1).sequences.items.tolist() == sequences.items.tolist()
