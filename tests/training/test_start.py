"""Residuals of items that are close in training sequences start alike; no held-out item is read."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hierrec.core.sequences import Sequences
from hierrec.model.checkpoint import new_model
from hierrec.model.params import TrainParams
from hierrec.training.start import WINDOW, ppmi_matrix, untrained_model
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits
from torch import Tensor

from tests.model.world import ITEMS, make_sequences


def started(params: TrainParams, frozen: NDArray, sequences: Sequences, **changes: int) -> Tensor:
    """Return the residuals of a model that starts at co-occurrence, [n, R]."""
    changed = params.model_copy(update={"residual_start": "co_occurrence", **changes})
    model = untrained_model(changed, frozen, sequences)
    return model.members[-1].items.residual.detach()


def naive_information(histories: list[NDArray[np.int64]]) -> NDArray[np.float64]:
    counts = np.zeros((ITEMS, ITEMS))
    for items in histories:
        for place, first in enumerate(items):
            for second in items[place + 1 : place + 1 + WINDOW]:
                counts[first, second] += 1
                counts[second, first] += 1
    totals = counts.sum(1)
    contexts = totals**0.75 / max(1, (totals**0.75).sum())
    information = np.zeros_like(counts)
    for first, second in zip(*counts.nonzero(), strict=True):
        if first != second:
            count = counts[first, second]
            shared = np.log(count / (totals[first] * contexts[second])) * count / (count + 1)
            information[first, second] = max(0, shared)
    return (information + information.T) / 2


@given(st.lists(st.lists(st.integers(0, ITEMS - 1), min_size=1, max_size=16), min_size=1, max_size=6))
def test_information_is_that_of_a_loop_over_pairs(histories: list[list[int]]) -> None:
    sequences = make_sequences([np.array(items) for items in histories])
    found = ppmi_matrix(sequences, ITEMS).toarray()
    np.testing.assert_allclose(found, naive_information(sequences.training_histories()), atol=1e-5)


def test_neighbours_in_sequences_start_alike(train_params: TrainParams, frozen: NDArray, sequences: Sequences) -> None:
    vectors = torch.nn.functional.normalize(started(train_params, frozen, sequences))
    alike = vectors @ vectors.T  # [n, n]
    ring = torch.arange(ITEMS)
    assert (alike[ring, (ring + 1) % ITEMS] > alike[ring, (ring + ITEMS // 2) % ITEMS]).all()


def test_trained_items_have_length_1_in_the_mean_and_others_none(train_params: TrainParams, frozen: NDArray) -> None:
    sequences = make_sequences([np.arange(user % 5, 12) for user in range(20)])  # items 12 to 23: no users
    lengths = started(train_params, frozen, sequences).norm(dim=1)
    trained = torch.from_numpy(sequences.training_counts(ITEMS) > 0)
    torch.testing.assert_close(lengths[trained].mean(), torch.tensor(1.0))
    assert not lengths[~trained].any()


def test_items_that_are_held_out_change_nothing(
    train_params: TrainParams, frozen: NDArray, sequences: Sequences
) -> None:
    held_out = np.ones(len(sequences.items), np.bool_)
    for first, count in zip(sequences.offsets, sequences.train_length, strict=False):
        held_out[first : first + count] = False
    others = replace(sequences, items=np.where(held_out, 0, sequences.items))
    assert held_out.any()
    assert torch.equal(started(train_params, frozen, sequences), started(train_params, frozen, others))


def test_the_number_of_threads_changes_no_bit(train_params: TrainParams, frozen: NDArray, sequences: Sequences) -> None:
    vectors = []
    for threads in (1, 2):
        with threadpool_limits(limits=threads):
            vectors.append(started(train_params, frozen, sequences))
    assert torch.equal(*vectors)


@pytest.mark.parametrize("width", [0, 8, 100])
def test_any_width_starts(train_params: TrainParams, frozen: NDArray, sequences: Sequences, width: int) -> None:
    vectors = started(train_params, frozen, sequences, residual_width=width)
    assert vectors.shape == (ITEMS, width)
    assert vectors.isfinite().all()
    assert bool(vectors.any()) == (width > 0)


def test_any_seed_starts(train_params: TrainParams, frozen: NDArray, sequences: Sequences) -> None:
    assert started(train_params, frozen, sequences, seed=2**62).any()


def test_sequences_of_one_item_start_at_zero(train_params: TrainParams, frozen: NDArray) -> None:
    assert not started(train_params, frozen, make_sequences([np.array([3]), np.array([5])])).any()


def test_members_start_from_their_own_seeds(train_params: TrainParams, frozen: NDArray, sequences: Sequences) -> None:
    second = started(train_params, frozen, sequences, members=2)
    assert torch.equal(second, started(train_params, frozen, sequences, seed=train_params.seed + 1))


@pytest.mark.parametrize(
    ("counts", "keys", "start"),
    [
        ([63, 64, 64, 0, 0], "unit", "co_occurrence"),  # items without training do not count
        ([64, 64, 64, 0, 0], "product", "zero"),
        ([5, 5, 182, 0, 0], "product", "zero"),
        ([0, 0], "product", "zero"),
    ],
)
def test_auto_is_decided_by_the_mean_interactions_of_an_item(
    train_params: TrainParams, counts: list[int], keys: str, start: str
) -> None:
    automatic = train_params.model_copy(update={"keys": "auto", "residual_start": "auto"})
    decided = automatic.for_data(np.array(counts))
    assert (decided.keys, decided.residual_start) == (keys, start)
    kept = automatic.model_copy(update={"keys": "unit"}).for_data(np.array(counts))
    assert (kept.keys, kept.residual_start) == ("unit", start)


def test_a_model_for_sparse_data_has_decided_params(
    train_params: TrainParams, frozen: NDArray, sequences: Sequences
) -> None:
    automatic = train_params.model_copy(update={"keys": "auto", "residual_start": "auto"})
    model = untrained_model(automatic, frozen, sequences)
    assert (model.params.keys, model.params.residual_start) == ("unit", "co_occurrence")
    assert model.members[0].items.residual.any()


def test_items_that_text_does_not_tell_apart_start_at_random(
    train_params: TrainParams, frozen: NDArray, sequences: Sequences
) -> None:
    params = train_params.model_copy(update={"residual_start": "zero"})
    trained = np.flatnonzero(sequences.training_counts(ITEMS))
    same = [*trained[:2], *np.setdiff1d(np.arange(ITEMS), trained)[:1]]  # the last is not trained
    vectors = frozen.copy()
    vectors[same] = vectors[same[0]]
    start = untrained_model(params, vectors, sequences).members[0].items.residual.detach()
    lengths = start.norm(dim=1)
    assert lengths[same[:2]].mean() == pytest.approx(1)
    assert not torch.equal(*start[same[:2]])
    assert not lengths[np.setdiff1d(np.arange(ITEMS), same[:2])].any()
    other = params.model_copy(update={"seed": params.seed + 1})
    assert not torch.equal(untrained_model(other, vectors, sequences).members[0].items.residual, start)
    none = params.model_copy(update={"residual_width": 0})
    assert not untrained_model(none, vectors, sequences).members[0].items.residual.numel()


def test_residuals_that_start_at_zero_are_those_of_a_new_model(
    train_params: TrainParams, frozen: NDArray, sequences: Sequences
) -> None:
    started, new = untrained_model(train_params, frozen, sequences), new_model(train_params, frozen)
    for name, weight in new.state_dict().items():
        assert torch.equal(started.state_dict()[name], weight), name
