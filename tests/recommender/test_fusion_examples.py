"""Nothing that is held out reaches the datastore or what the fusion learns from."""

from dataclasses import replace

import numpy as np
from hierrec.data.sequences import Sequences
from hierrec.params import TrainParams
from hierrec.recommender.checkpoint import new_recommender
from hierrec.recommender.fusion_examples import FusionExamples
from hierrec.recommender.prefixes import prefix_states
from hierrec.retrieval.datastore import Datastore
from numpy.typing import NDArray

from tests.recommender.world import ITEMS


def remembered(
    params: TrainParams, frozen: NDArray, sequences: Sequences
) -> tuple[Datastore, FusionExamples]:
    model = new_recommender(params, frozen)
    prefixes = prefix_states(model, sequences, params.history, 8)
    datastore = Datastore(prefixes.states, prefixes.next_items, prefixes.users, 5, 2)
    return datastore, FusionExamples.latest_prefixes(prefixes, sequences, {"next_items": datastore}, 3)


def test_held_out_items_change_neither_datastore_nor_examples(
    train_params: TrainParams, frozen: NDArray, sequences: Sequences
) -> None:
    held = sequences.validation >= 0
    items = sequences.items.copy()
    items[sequences.offsets[1:][held] - 1] = (items[sequences.offsets[1:][held] - 1] + 5) % ITEMS
    items[sequences.offsets[1:][held] - 2] = (items[sequences.offsets[1:][held] - 2] + 7) % ITEMS
    changed = replace(
        sequences,
        items=items,
        validation=np.where(held, (sequences.validation + 7) % ITEMS, -1),
        test=np.where(held, (sequences.test + 5) % ITEMS, -1),
    )
    first, learned = remembered(train_params, frozen, sequences)
    second, learned_again = remembered(train_params, frozen, changed)
    np.testing.assert_array_equal(first.keys, second.keys)
    np.testing.assert_array_equal(first.next_items, second.next_items)
    np.testing.assert_array_equal(learned.targets, learned_again.targets)
    np.testing.assert_array_equal(learned.retrieved[0][0], learned_again.retrieved[0][0])


def test_examples_are_the_latest_prefixes_with_their_next_item(
    train_params: TrainParams, frozen: NDArray, sequences: Sequences
) -> None:
    _, examples = remembered(train_params, frozen, sequences)
    expected = [
        (sequences.training_items(user)[:position].tolist(), sequences.training_items(user)[position])
        for user in range(sequences.user_count)
        for position in range(max(1, sequences.train_length[user] - 3), sequences.train_length[user])
    ]
    assert [
        (history.tolist(), target)
        for history, target in zip(examples.histories, examples.targets, strict=True)
    ] == expected
