"""The loss of a model with repeats, against its definition item by item."""

import math

import torch
from hierrec.model.repeats import Repeats
from hierrec.training.objective import Windows, repeat_softmax_loss, sampled_repeat_softmax_loss
from hypothesis import given
from hypothesis import strategies as st

ITEMS, WIDTH, PLACES = 6, 4, 7


def draw(seed: int) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(seed)
    states = torch.randn(2, PLACES, WIDTH, generator=generator)
    rows, targets = torch.randint(ITEMS, (2, 2, PLACES), generator=generator)
    return (
        states,
        rows,
        targets,
        torch.randn(ITEMS, WIDTH, generator=generator),
        torch.randn(ITEMS, generator=generator),
    )


def some_repeats(seed: int, history: int = PLACES, sessions: bool = False) -> Repeats:
    repeats, generator = Repeats(history, WIDTH, sessions), torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in repeats.parameters():
            parameter.normal_(generator=generator)
    return repeats


@given(seed=st.integers(0, 999))
def test_the_exact_loss_is_that_of_the_definition(seed: int) -> None:
    states, rows, targets, keys, biases = draw(seed)
    repeats = some_repeats(seed)
    losses = repeat_softmax_loss(Windows(states, rows, targets), keys, biases, repeats)
    weights = repeats.log_weight.exp().tolist()
    scores = (states @ keys.T + biases).tolist()  # [2, PLACES, ITEMS]
    tendency = (states @ repeats.tendency).tolist()  # [2, PLACES]
    for window in range(2):
        for place in range(PLACES):
            logits = []
            for item in range(ITEMS):
                ages = [place - at for at in range(place + 1) if rows[window, at] == item]
                places = sum(weights[int(math.log2(age + 1))] for age in ages)
                gain = math.log(places) + tendency[window][place] if ages else 0
                logits.append(scores[window][place][item] + gain)
            expected = math.log(sum(map(math.exp, logits))) - logits[int(targets[window, place])]
            assert abs(losses[window, place].item() - expected) < 1e-4


@given(seed=st.integers(0, 999))
def test_every_item_drawn_once_gives_the_exact_loss(seed: int) -> None:
    states, rows, targets, keys, biases = draw(seed)
    repeats = some_repeats(seed)
    log_probability = torch.full((ITEMS,), 1 / ITEMS).log()
    arguments = Windows(states, rows, targets), keys, biases, repeats
    sampled = sampled_repeat_softmax_loss(*arguments, torch.arange(ITEMS), log_probability)
    torch.testing.assert_close(sampled, repeat_softmax_loss(*arguments))


@given(seed=st.integers(0, 999))
def test_each_place_has_the_weights_of_its_kind_of_target(seed: int) -> None:
    states, rows, targets, keys, biases = draw(seed)
    both = some_repeats(seed, sessions=True)
    within = Repeats(PLACES, WIDTH)
    within.load_state_dict({"log_weight": both.within, "tendency": both.tendency})
    starts = torch.rand(2, PLACES, generator=torch.Generator().manual_seed(seed)) < 0.5
    log_probability = torch.full((ITEMS,), 1 / ITEMS).log()

    def losses(repeats: Repeats, starts: torch.Tensor | None) -> list[torch.Tensor]:
        arguments = Windows(states, rows, targets, starts), keys, biases, repeats
        return [
            sampled_repeat_softmax_loss(*arguments, torch.arange(ITEMS), log_probability),
            repeat_softmax_loss(*arguments),
        ]

    for found, start, other in zip(losses(both, starts), losses(both, None), losses(within, None), strict=True):
        torch.testing.assert_close(found, torch.where(starts, start, other))


@given(seed=st.integers(0, 999))
def test_a_state_has_the_gains_that_training_gave_its_place(seed: int) -> None:
    states, rows, *_ = draw(seed)
    repeats = some_repeats(seed)
    weight = torch.zeros(PLACES, ITEMS)
    for place in range(PLACES):
        for at in range(place + 1):
            weight[place, rows[0, at]] += repeats.weights(torch.tensor(place - at))
    histories = rows[0].repeat(PLACES, 1)  # [PLACES, T]; items after a history's end are padding
    gains = repeats(states[0], histories, torch.arange(1, PLACES + 1), ITEMS)
    torch.testing.assert_close(gains, repeats.gains(states[0], weight))


def test_without_weights_an_item_taken_once_gains_nothing() -> None:
    gains = Repeats(8, WIDTH)(torch.ones(2, WIDTH), torch.tensor([[3, 1, 3], [2, 0, 0]]), torch.tensor([3, 1]), 5)
    expected = torch.tensor([[0, 0, 0, math.log(2), 0], [0, 0, 0, 0, 0]])
    torch.testing.assert_close(gains, expected)


def test_an_empty_history_gains_nothing() -> None:
    repeats = some_repeats(1)
    assert not repeats(torch.ones(1, WIDTH), torch.tensor([[4]]), torch.tensor([0]), 5).any()
