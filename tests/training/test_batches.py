"""Every training item but a user's first is a target exactly once an epoch, after what came before it."""

from collections import Counter

import numpy as np
from hierrec.model.params import TrainParams
from hierrec.training.batches import batch_count, training_batches, training_windows
from hypothesis import given
from hypothesis import strategies as st

from tests.model.world import make_sequences


def limits(history: int, windows: int, positions: int | None = None) -> TrainParams:
    """Params of the batches only."""
    return TrainParams.model_construct(time="none", history=history, batch_windows=windows, batch_positions=positions)


lengths = st.lists(st.integers(1, 40), min_size=1, max_size=12)


def unique_items(lengths: list[int]):
    """Users whose items are all different, so that an item names its user and position."""
    ends = np.cumsum(lengths)
    return make_sequences([np.arange(end - length, end) for end, length in zip(ends, lengths, strict=True)])


@given(
    lengths=lengths,
    params=st.builds(limits, st.integers(2, 12), st.integers(1, 5), st.none() | st.integers(1, 40)),
    seed=st.integers(0, 9),
)
def test_each_target_once_with_its_past(lengths: list[int], params: TrainParams, seed: int) -> None:
    sequences = unique_items(lengths)
    seen: Counter[int] = Counter()
    for part in training_batches(sequences, params, np.random.default_rng(seed)):
        assert part.rows.shape == part.targets.shape == part.mask.shape
        assert part.rows.shape[0] <= params.batch_windows
        assert part.rows.shape[0] == 1 or part.rows.size <= (params.batch_positions or part.rows.size)
        assert part.rows.shape[1] <= params.history
        for rows, targets, mask in zip(part.rows, part.targets, part.mask, strict=True):
            length = int(mask.sum())
            assert mask[:length].all()
            assert (targets[:length] == rows[:length] + 1).all()
            seen.update(targets[:length].tolist())
    expected = [item for user in range(sequences.user_count) for item in sequences.training_items(user)[1:].tolist()]
    assert seen == Counter(expected)


def test_the_generator_decides_who_shares_a_batch_and_the_order_of_batches() -> None:
    sequences = unique_items([4, 5, 6, 7, 8] * 4)  # each one window

    def epoch(seed: int) -> list[list[list[int]]]:
        return [part.rows.tolist() for part in training_batches(sequences, limits(7, 3), np.random.default_rng(seed))]

    assert epoch(1) == epoch(1)
    assert sorted(epoch(1)) != sorted(epoch(2))
    widths = [len(rows[0]) for rows in epoch(1)]
    assert widths != sorted(widths)


def test_the_first_cut_of_a_long_history_falls_anywhere() -> None:
    sequences = unique_items([30])
    firsts = {training_windows(sequences, 7, np.random.default_rng(seed))[0].stop for seed in range(100)}
    assert firsts == set(range(2, 9))  # 1 to 7 targets


def test_a_user_with_one_item_gives_no_window() -> None:
    assert training_windows(unique_items([1]), 5, np.random.default_rng(0)) == []


def test_each_item_has_the_gap_before_it_and_some_windows_have_none() -> None:
    sequences = unique_items([5] * 600)  # each one window of two items
    timed = sequences.with_times("gaps", (sequences.items % 60 + 1).astype(np.int8))
    params, known = limits(7, 100).model_copy(update={"time": "gaps"}), list[np.bool_]()
    for part in training_batches(timed, params, np.random.default_rng(0)):
        assert part.gaps is not None
        known += list(part.gaps.max(1) > 0)
        assert (part.gaps == (part.rows % 60 + 1) * part.gaps.any(1, keepdims=True)).all()
    assert 0.85 < np.mean(known) < 0.95


def test_batches_are_as_large_as_their_limits_allow() -> None:
    sequences = unique_items([7] * 12 + [13] * 12)  # windows of 4 and of 10 positions

    def shapes(params: TrainParams) -> list[tuple[int, ...]]:
        return sorted(part.rows.shape for part in training_batches(sequences, params, np.random.default_rng(0)))

    assert shapes(limits(12, 6)) == [(6, 4)] * 2 + [(6, 10)] * 2
    assert shapes(limits(12, 6, 30)) == [(3, 10)] * 4 + [(6, 4)] * 2
    assert batch_count(sequences, limits(12, 6, 30)) == 6


def test_the_number_of_batches_is_near_that_of_any_epoch() -> None:
    sequences = unique_items([30, 25, 12, 2, 1])
    counts = [len(training_windows(sequences, 7, np.random.default_rng(seed))) for seed in range(300)]
    count = batch_count(sequences, limits(7, 1))
    assert count == counts[0]
    assert min(counts) <= count <= max(counts)
    assert abs(count - np.mean(counts)) <= 1
