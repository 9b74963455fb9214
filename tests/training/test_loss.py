"""The sampled softmax estimates the full one."""

import torch
from hierrec.training.objective import sampled_softmax_loss, softmax_loss
from hypothesis import given
from hypothesis import strategies as st


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
    torch.testing.assert_close(sampled, softmax_loss(users, targets, keys, biases))


def test_many_draws_from_a_skewed_distribution_come_close() -> None:
    users, targets, keys, biases = draw(0)
    probability = torch.arange(1.0, 13) / 78
    negatives = torch.multinomial(probability, 200_000, True, generator=torch.Generator().manual_seed(1))
    sampled = sampled_softmax_loss(users, targets, keys, biases, negatives, probability.log())
    full = softmax_loss(users, targets, keys, biases)
    assert abs(sampled - full) < 0.02


def test_the_full_softmax_by_hand() -> None:
    users, keys = torch.tensor([[1.0]]), torch.tensor([[0.0], [0.0], [0.0]])
    loss = softmax_loss(users, torch.tensor([1]), keys, torch.tensor([1.0, 2.0, 3.0]))
    expected = torch.log(torch.exp(torch.tensor([1.0, 2.0, 3.0])).sum()) - 2
    torch.testing.assert_close(loss, expected)
