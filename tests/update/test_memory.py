"""Rows of items and users move, and what was learned of them moves along."""

from dataclasses import replace

import numpy as np
import torch
from hierrec.model.params import TrainParams
from hierrec.update.memory import _move_items, common_items
from numpy.typing import NDArray

from tests.model.world import make_sequences, new_member


def test_a_user_has_the_items_before_the_first_difference_in_common() -> None:
    before = make_sequences([np.array([0, 1, 2, 3]), np.array([4, 5]), np.array([2, 2])])
    # Items are one row on, the first two users have changed places, the third has lost an item.
    after = make_sequences([np.array(items) for items in ([5, 6, 7], [1, 8, 2, 3, 4], [3], [3, 1])])
    assert common_items(before, after, np.arange(1, 7), np.array([1, 0, 2])).tolist() == [1, 2, 1]


def test_known_items_keep_residual_and_key_factor(train_params: TrainParams, frozen: NDArray[np.float32]) -> None:
    model = new_member(train_params, frozen[:3])
    model.key_scale += torch.arange(1, 4)
    model.items.residual.data += 7
    _move_items(model, frozen[:5], np.array([0, 2, 4]))
    assert model.key_scale.tolist() == [2, 1, 3, 1, 4]
    assert model.items.residual.detach().any(1).tolist() == [True, False, True, False, True]


def test_items_after_another_gap_are_not_common() -> None:
    """A model that reads gaps has another state there."""
    sequences = make_sequences([np.array([3, 3, 3, 3]), np.array([1, 2])])
    before = replace(sequences, gaps=np.array([0, 5, 5, 5, 0, 7], np.int8))
    after = replace(sequences, gaps=np.array([0, 5, 2, 4, 0, 7], np.int8))
    rows = np.arange(4), np.arange(2)
    assert common_items(sequences, sequences, *rows).tolist() == [4, 2]
    assert common_items(before, after, *rows).tolist() == [2, 2]
