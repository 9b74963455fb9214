"""The state after every training prefix is the model's state for that prefix."""

from pathlib import Path

import numpy as np
import torch
from hierrec.core.sequences import Sequences
from hierrec.fusion.prefixes import prefix_states, remember, unchanged_prefixes
from hierrec.model.checkpoint import new_model
from hierrec.model.params import TrainParams
from hierrec.model.scorer import Scorer
from hierrec.params import load_params
from hierrec.rag.datastore import Datastore
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.model.world import ITEMS, make_sequences

PARAMS = load_params(Path(__file__).parents[2] / "params.yaml").fusion


def test_every_prefix_once_with_its_state(train_params: TrainParams, frozen: NDArray) -> None:
    generator = np.random.default_rng(0)
    sequences = make_sequences([generator.integers(ITEMS, size=length) for length in (1, 2, 3, 12, 33, 64)])
    model = new_model(train_params, frozen).eval()
    scorer = Scorer(model, np.ones(ITEMS, np.bool_), dtype=torch.float32)
    prefixes = prefix_states(model, sequences)
    expected = [
        (user, position) for user in range(sequences.user_count) for position in range(1, sequences.train_length[user])
    ]
    assert list(zip(prefixes.users, prefixes.positions, strict=True)) == expected
    for index, (user, position) in enumerate(expected):
        items = sequences.training_items(user)
        assert prefixes.next_items[index] == items[position]
        contexts = [
            scorer.states([items[:position][-length:]])[0] for length in range(min(5, position), min(10, position) + 1)
        ]
        state = torch.from_numpy(prefixes.states[index])
        assert any(torch.allclose(state, context, atol=1e-4) for context in contexts)


def test_of_many_prefixes_those_of_whole_users_are_remembered(
    train_params: TrainParams, frozen: NDArray, sequences: Sequences
) -> None:
    def entries(most: int | None, seed: int = 3) -> Datastore:
        model = new_model(train_params.model_copy(update={"seed": seed}), frozen).eval()
        datastore = remember(model, sequences, PARAMS.model_copy(update={"prefixes": most}))
        assert datastore is not None
        return datastore

    counts = (sequences.train_length - 1).clip(min=0)
    whole = entries(None)
    assert len(whole) == counts.sum()
    assert entries(len(whole)).keys.tobytes() == whole.keys.tobytes()
    part = entries(100)
    assert 100 <= len(part) < 100 + counts.max()
    of = np.isin(whole.users, part.users)
    assert part.keys.tobytes() == whole.keys[of].tobytes()
    assert part.next_items.tolist() == whole.next_items[of].tolist()
    assert set(entries(100, seed=4).users) != set(part.users)


def grown(histories: list[list[int]], extra: dict[int, list[int]]) -> list[NDArray]:
    return [np.array([*items, *extra.get(user, [])]) for user, items in enumerate(histories)]


@given(st.data())
@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_states_of_grown_histories_join_those_of_before_bit_for_bit(
    train_params: TrainParams, frozen: NDArray, data: st.DataObject
) -> None:
    items = st.integers(0, ITEMS - 1)
    histories = data.draw(st.lists(st.lists(items, min_size=1, max_size=40), min_size=1, max_size=6))
    extra = data.draw(st.dictionaries(st.integers(0, len(histories) - 1), st.lists(items, max_size=20)))
    model = new_model(train_params, frozen).eval()
    before, after = (make_sequences(grown(histories, more)) for more in ({}, extra))
    old, whole = prefix_states(model, before), prefix_states(model, after)
    counts = [sequences.train_length - 1 for sequences in (before, after)]
    kept = unchanged_prefixes(counts[0], counts[1], before.train_length, model.params.history)
    new = prefix_states(model, after, kept)
    assert len(new.users) == (counts[1] - kept).sum()
    for user in range(after.user_count):
        parts = [old.states[old.users == user][: kept[user]], new.states[new.users == user]]
        assert np.concatenate(parts).tobytes() == whole.states[whole.users == user].tobytes()
        if user not in extra:
            assert kept[user] == counts[0][user]
