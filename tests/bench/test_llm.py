"""The comparisons with a pre-trained decoder: of which users, and both poolings of one pass."""

import numpy as np
from hierrec.data.sequences import Sequences
from hierrec.encode.encoder import ItemEncoder
from hierrec.model.inputs import Inputs

from bench.llm.item_llm import BothPoolings
from bench.llm.record import some_users
from tests.encode.tiny_models import TEXTS, ModelFolder
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


def test_one_pass_gives_both_poolings(model_folder: ModelFolder) -> None:
    folder = str(model_folder("gpt2"))
    encoder = ItemEncoder.load(folder, None, 32)
    encoder.__dict__["way"] = BothPoolings(encoder.model, "mean", 0, 32, folder)
    both = encoder.encode(TEXTS, 64)  # [n, 2 D]
    for pooling, vectors in zip(("mean", "last"), np.split(both, 2, 1), strict=True):
        alone = ItemEncoder.load(folder, None, 32, pooling=pooling).encode(TEXTS, 64)
        np.testing.assert_array_equal(vectors, alone)
