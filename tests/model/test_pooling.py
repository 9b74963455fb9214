"""Pooling is causal and equals the documented weighted mean."""

import math
from typing import get_args

import pytest
import torch
from hierrec.model.params import Kind
from hierrec.model.sequence_model import Pooling
from hypothesis import given
from hypothesis import strategies as st

kinds = st.sampled_from(get_args(Kind))
lengths = st.integers(1, 9)


@given(kind=kinds, window=st.integers(1, 5), length=lengths, cut=st.integers(0, 8), seed=st.integers(0, 99))
def test_later_states_change_no_earlier_user(kind: Kind, window: int, length: int, cut: int, seed: int) -> None:
    states = torch.randn(2, length, 3, generator=torch.Generator().manual_seed(seed))
    changed = states.clone()
    changed[:, cut:] += 1.0
    pooling = Pooling(kind, window)
    torch.testing.assert_close(pooling(states)[:, :cut], pooling(changed)[:, :cut])
    if cut < length:
        assert not torch.allclose(pooling(states)[:, cut:], pooling(changed)[:, cut:])


@given(kind=kinds, window=st.integers(1, 5), length=lengths, seed=st.integers(0, 99))
def test_equals_a_naive_weighted_mean(kind: Kind, window: int, length: int, seed: int) -> None:
    states = torch.randn(1, length, 3, generator=torch.Generator().manual_seed(seed))
    weight_at_age = {
        "mean": lambda age: 1.0,
        "last": lambda age: float(age == 0),
        "window": lambda age: float(age < window),
        "recency": lambda age: math.exp(-math.log(2) * age),  # softplus(0) = log 2
    }[kind]
    users = Pooling(kind, window)(states)
    for t in range(length):
        weights = [weight_at_age(t - s) for s in range(t + 1)]
        mean = sum(w * states[0, s] for s, w in enumerate(weights)) / sum(weights)
        torch.testing.assert_close(users[0, t], mean)


def test_the_decay_of_recency_is_learned() -> None:
    pooling = Pooling("recency", 1)
    pooling(torch.randn(1, 5, 2, generator=torch.Generator().manual_seed(0)))[0, -1, 0].backward()
    assert pooling.rate.grad is not None
    assert pooling.rate.grad.abs() > 0


@pytest.mark.parametrize("kind", ["mean", "last", "window"])
def test_the_others_learn_nothing(kind: Kind) -> None:
    assert not list(Pooling(kind, 2).parameters())
