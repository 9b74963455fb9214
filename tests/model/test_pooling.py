"""Pooling is causal and equals the documented weighted mean."""

from typing import get_args

import pytest
import torch
from hierrec.model.params import PoolingKind
from hierrec.model.pooling import REACH, Pooling
from hypothesis import given
from hypothesis import strategies as st

WIDTH = 3
kinds = st.sampled_from(get_args(PoolingKind))
lengths = st.integers(1, 9) | st.sampled_from([REACH - 1, REACH, REACH + 1, 2 * REACH + 1])


def drawn(kind: PoolingKind, window: int, seed: int) -> Pooling:
    """Return a pooling in float64; its decays, if it learns any, are drawn at random."""
    pooling, generator = Pooling(kind, window, WIDTH).double(), torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in pooling.parameters():
            parameter.uniform_(-3, 3, generator=generator)
    return pooling


def some_states(batch: int, length: int, seed: int) -> torch.Tensor:
    return torch.randn(
        batch, length, WIDTH, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)
    )


@given(kind=kinds, window=st.integers(1, 5), length=lengths, cut=st.integers(0, 8), seed=st.integers(0, 99))
def test_later_states_change_no_earlier_user(
    kind: PoolingKind, window: int, length: int, cut: int, seed: int
) -> None:
    states = some_states(2, length, seed)
    changed = states.clone()
    changed[:, cut:] += 1.0
    pooling = drawn(kind, window, seed)
    torch.testing.assert_close(pooling(states)[:, :cut], pooling(changed)[:, :cut])
    if cut < length:
        assert not torch.allclose(pooling(states)[:, cut:], pooling(changed)[:, cut:])


@given(kind=kinds, window=st.integers(1, 5), length=lengths, seed=st.integers(0, 99))
@torch.no_grad()
def test_equals_a_naive_weighted_mean(kind: PoolingKind, window: int, length: int, seed: int) -> None:
    states, pooling = some_states(1, length, seed), drawn(kind, window, seed)
    decay = 1 / (1 + pooling.rate.exp()) if kind == "recency" else torch.ones(WIDTH)
    reach = {"mean": length, "last": 1, "window": window, "recency": REACH}[kind]
    users = pooling(states)
    for t in range(length):
        weights = [decay**age for age in range(min(reach, t + 1))]
        mean = sum(w * states[0, t - age] for age, w in enumerate(weights)) / sum(weights)
        torch.testing.assert_close(users[0, t], mean)


@given(
    kind=st.sampled_from(["last", "window", "recency"]),
    window=st.integers(1, 5),
    batch=st.lists(lengths, min_size=1, max_size=4),
    seed=st.integers(0, 99),
)
@torch.no_grad()
def test_the_latest_states_give_the_same_user(
    kind: PoolingKind, window: int, batch: list[int], seed: int
) -> None:
    states, pooling, count = (
        some_states(len(batch), max(batch), seed),
        drawn(kind, window, seed),
        torch.tensor(batch),
    )
    assert pooling.reach is not None
    ages = torch.arange(min(pooling.reach, max(batch)))
    rows = torch.arange(len(batch))[:, None]
    latest = states[rows, (count[:, None] - 1 - ages).clamp(min=0)]
    torch.testing.assert_close(pooling.latest(latest, count), pooling(states)[rows[:, 0], count - 1])


def test_a_sequence_without_items_has_a_finite_user() -> None:
    for kind in ("last", "window", "recency"):
        pooling = Pooling(kind, 2, WIDTH)
        assert pooling.latest(torch.ones(1, 2, WIDTH), torch.tensor([0])).isfinite().all()


def test_each_dimension_learns_its_decay() -> None:
    pooling = Pooling("recency", 1, WIDTH)
    pooling(torch.randn(1, 5, WIDTH, generator=torch.Generator().manual_seed(0)))[0, -1, 0].backward()
    assert pooling.rate.grad is not None
    assert pooling.rate.grad.nonzero().tolist() == [[0]]


@pytest.mark.parametrize("kind", ["mean", "last", "window"])
def test_the_others_learn_nothing(kind: PoolingKind) -> None:
    assert not list(Pooling(kind, 2, WIDTH).parameters())
