"""The sampled softmax estimates the full one."""

import torch
from hierrec.training.objective import sampled_softmax_loss
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F


def draw(seed: int, items: int = 12) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(seed)
    users, keys = (torch.randn(size, 4, generator=generator) for size in (5, items))
    return (
        users,
        torch.randint(items, (5,), generator=generator),
        keys,
        torch.randn(items, generator=generator),
    )


@given(seed=st.integers(0, 999))
def test_every_item_drawn_once_gives_the_full_softmax(seed: int) -> None:
    users, targets, keys, biases = draw(seed)
    log_probability = torch.full((12,), 1 / 12).log()
    sampled = sampled_softmax_loss(users, targets, keys, biases, torch.arange(12), log_probability)
    torch.testing.assert_close(sampled, F.cross_entropy(users @ keys.T + biases, targets))


def test_many_draws_from_a_skewed_distribution_come_close() -> None:
    users, targets, keys, biases = draw(0)
    probability = torch.arange(1.0, 13) / 78
    negatives = torch.multinomial(probability, 200_000, True, generator=torch.Generator().manual_seed(1))
    sampled = sampled_softmax_loss(users, targets, keys, biases, negatives, probability.log())
    full = F.cross_entropy(users @ keys.T + biases, targets)
    assert abs(sampled - full) < 0.02
