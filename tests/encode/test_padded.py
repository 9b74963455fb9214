"""Batches of padded texts: each text once, within the budget, and independent of the padding."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hierrec.core.errors import ModelError
from hierrec.encode.batches import LENGTH_STEP, PaddedBatches
from hierrec.encode.params import Pooling
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

LONGEST = 30


class States(nn.Module):
    """States equal to the tokens, and NaN at the padding, as after a softmax over only -inf."""

    device = torch.device("cpu")

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> SimpleNamespace:
        """Return [b, t, 1]."""
        hidden = input_ids.float().masked_fill(attention_mask == 0, torch.nan)  # [b, t]
        return SimpleNamespace(last_hidden_state=hidden.unsqueeze(-1))


class Silent(States):
    """A model of another kind: it has no hidden states."""

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> SimpleNamespace:
        """Return nothing of use."""
        return SimpleNamespace()


def test_what_stands_at_the_padding_reaches_no_vector() -> None:
    cases: tuple[tuple[Pooling, list[list[int]]], ...] = (
        ("mean", [[3], [5], [4]]),
        ("last", [[6], [5], [4]]),
    )
    for pooling, expected in cases:
        batches = PaddedBatches(States(), pooling, 0, LONGEST, "here")
        vectors = batches.vectors([[1, 2, 6], [5], [4, 4]], (5, 4))
        np.testing.assert_array_equal(vectors, np.array(expected, np.float32))


def test_a_model_without_states_is_named() -> None:
    with pytest.raises(ModelError, match="here: not a text encoder"):
        PaddedBatches(Silent(), "mean", 0, LONGEST, "here").vectors([[1]], (1, 4))


@given(lengths=st.lists(st.integers(1, LONGEST), max_size=60), budget=st.integers(1, 200))
def test_each_text_once_in_batches_of_its_length_alone(lengths: list[int], budget: int) -> None:
    plan = list(PaddedBatches(States(), "mean", 0, LONGEST, "here").plan(np.array(lengths, np.int64), budget))
    assert sorted(place for places, _ in plan for place in places) == list(range(len(lengths)))
    assert [length for _, (_, length) in plan] == sorted((length for _, (_, length) in plan), reverse=True)
    for places, (rows, length) in plan:
        assert length in (LONGEST, *range(LENGTH_STEP, LONGEST, LENGTH_STEP))
        assert all(0 <= length - lengths[place] < LENGTH_STEP for place in places)
        assert len(places) <= rows == max(1, budget // length)  # whatever else is encoded
