"""Nothing that is held out reaches the datastore; the fusion learns from validation targets alone."""

from dataclasses import replace

import numpy as np
import torch
from hierrec.data.sequences import Sequences, halves
from hierrec.fusion.fusion_trainer import FusionExamples
from hierrec.fusion.prefixes import prefix_states
from hierrec.model.checkpoint import new_model
from hierrec.model.params import TrainParams
from hierrec.model.scorer import Scorer
from hierrec.rag.datastore import Datastore, Lookup
from numpy.typing import NDArray

from tests.model.world import ITEMS


def remembered(
    params: TrainParams, frozen: NDArray, sequences: Sequences
) -> tuple[Datastore, FusionExamples]:
    model = new_model(params, frozen).eval()
    prefixes = prefix_states(model, sequences)
    lookup = Lookup(shortlist=8, overlap=0.3, neighbours=5, following=2, preceding=2)
    datastore = Datastore.of(prefixes.states, prefixes.next_items, prefixes.users, lookup)
    base = Scorer(model, np.ones(ITEMS, np.bool_), dtype=torch.float32)
    return datastore, FusionExamples.validation(base, sequences, {"next_items": datastore})


def test_test_items_change_nothing_and_validation_items_the_targets_alone(
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
    np.testing.assert_array_equal((learned.targets + 7) % ITEMS, learned_again.targets)
    np.testing.assert_array_equal(learned.query.states, learned_again.query.states)
    np.testing.assert_array_equal(learned.retrieved[0].items, learned_again.retrieved[0].items)


def test_halves_share_nobody_and_leave_nobody_out(
    train_params: TrainParams, frozen: NDArray, sequences: Sequences
) -> None:
    _, examples = remembered(train_params, frozen, sequences)
    parts = examples.halves(3)
    assert abs(len(parts[0]) - len(parts[1])) <= 1
    both = np.concatenate([half.query.states for half in parts])
    assert sorted(map(tuple, both.tolist())) == sorted(map(tuple, examples.query.states.tolist()))
    held_out = halves(np.arange(len(examples)), 3)[1]
    np.testing.assert_array_equal(parts[1].targets, examples.targets[held_out])
    again = examples.halves(3)
    np.testing.assert_array_equal(parts[0].targets, again[0].targets)
    assert examples.halves(4)[0].query.states.tolist() != parts[0].query.states.tolist()
