"""The time between items reaches the model as an input, but never the time of a target."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from hierrec.core.errors import DataError
from hierrec.core.sequences import GAP_BUCKETS, UNKNOWN_GAP, Sequences, gap_buckets
from hierrec.evaluation.protocol import evaluate
from hierrec.fusion.prefixes import prefix_states
from hierrec.model.checkpoint import load_model, new_model, save_model, state_of
from hierrec.model.ensemble import UserModel
from hierrec.model.params import TrainParams
from hierrec.model.scorer import Scorer
from hierrec.params import load_params
from hierrec.ranking.evaluator import rank_targets
from hierrec.ranking.metrics import metrics_from_ranks
from hierrec.training.trainer import validator
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.model.world import ITEMS, trained

ALL = np.ones(ITEMS, np.bool_)
EVALUATE = load_params(Path(__file__).parents[2] / "params.yaml").evaluate


@pytest.fixture
def gaps_params(train_params: TrainParams) -> TrainParams:
    return train_params.model_copy(update={"time": "gaps", "epochs": 2})


@pytest.fixture
def timed(sequences: Sequences) -> Sequences:
    gaps = np.random.default_rng(7).integers(1, GAP_BUCKETS, len(sequences.items)).astype(np.int8)
    gaps[sequences.offsets[:-1]] = UNKNOWN_GAP
    return sequences.with_times("gaps", gaps)


def fitted(params: TrainParams, frozen: NDArray[np.float32], sequences: Sequences, folder: Path) -> UserModel:
    return trained(params, frozen, sequences, lambda _: {"ndcg@10": 0.5}, folder)[0]


def test_buckets_by_hand() -> None:
    positions, times = np.array([0, 1, 2, 3, 0, 1, 2]), np.array([5, 5, 6, 10, 7, 9, 2**40])
    assert gap_buckets(positions, times).tolist() == [UNKNOWN_GAP, 1, 2, 4, UNKNOWN_GAP, 3, 41]
    assert gap_buckets(np.arange(3), np.array([0.0, 0.25, 2.25])).tolist() == [UNKNOWN_GAP, 2, 3]


@given(st.lists(st.integers(0, 2**62), min_size=2, max_size=2).map(sorted))
def test_a_longer_gap_is_in_no_lower_bucket(gaps: list[int]) -> None:
    shorter, longer = (int(gap_buckets(np.arange(2), np.array([0, gap]))[1]) for gap in gaps)
    assert 0 < shorter <= longer < GAP_BUCKETS
    assert (longer == 1) == (gaps[1] == 0)
    assert longer > shorter or gaps[1] < 2 * max(1, gaps[0])


def test_without_times_the_model_has_the_same_weights_whatever_the_gaps(
    train_params: TrainParams, frozen: NDArray[np.float32], timed: Sequences, tmp_path: Path
) -> None:
    few = train_params.model_copy(update={"epochs": 1})
    none = [
        state_of(fitted(few, frozen, data, tmp_path / name))
        for name, data in (("timed", timed), ("bare", replace(timed, gaps=timed.gaps[:0])))
    ]
    assert none[0].keys() == none[1].keys() == state_of(new_model(train_params, frozen)).keys()
    assert "gaps" not in none[0]
    assert all(torch.equal(none[0][name], none[1][name]) for name in none[0])


def test_gaps_reach_the_model_and_its_file(
    gaps_params: TrainParams, frozen: NDArray[np.float32], timed: Sequences, tmp_path: Path
) -> None:
    model = fitted(gaps_params, frozen, timed, tmp_path)
    assert state_of(model)["gaps"].any()
    save_model(tmp_path / "model", model, "hash")
    histories, users = timed.test_histories()[20:30], np.arange(20, 30)
    scores = Scorer(load_model(tmp_path / "model", frozen, "hash"), ALL, sequences=timed).states(histories, users)
    assert torch.equal(scores, Scorer(model, ALL, sequences=timed).states(histories, users))
    other = timed.with_times("gaps", (timed.gaps % 9 + 1).astype(np.int8))
    assert not torch.equal(scores, Scorer(model, ALL, sequences=other).states(histories, users))
    # The datastore's states are those of the scorer.
    prefixes = prefix_states(model, timed)
    last = np.flatnonzero(prefixes.users == 5)[-1]
    state = Scorer(model, ALL, sequences=timed, dtype=torch.float32).states(
        [timed.training_items(5)[: prefixes.positions[last]]], np.array([5])
    )
    torch.testing.assert_close(torch.from_numpy(prefixes.states[last]), state[0], atol=1e-5, rtol=1e-5)


def test_an_ensemble_reads_them_too(
    gaps_params: TrainParams, frozen: NDArray[np.float32], timed: Sequences, tmp_path: Path
) -> None:
    both = gaps_params.model_copy(update={"members": 2, "epochs": 1})
    scorer = Scorer(fitted(both, frozen, timed, tmp_path), ALL, sequences=timed)
    history = timed.test_histories()[20:21]
    assert not torch.equal(scorer.states(history, np.array([20])), scorer.states(history))


def test_a_history_without_times_has_unknown_gaps(timed: Sequences) -> None:
    user, items = 20, timed.test_histories()[20]
    stored = timed.gaps[timed.offsets[user] :][: len(items)]
    assert timed.gaps_of(items, user).tolist() == stored.tolist()
    assert timed.gaps_of(items[:3], user).tolist() == stored[:3].tolist()
    for history, owner in ((items, -1), (items[::-1], user), (items[1:], user), (items, 21)):
        assert timed.gaps_of(history, owner).tolist() == [UNKNOWN_GAP] * len(history)


def later_changed(sequences: Sequences, first: NDArray[np.int64]) -> Sequences:
    """Change the gaps before each user's items from the place `first` on."""
    gaps = sequences.gaps.copy()
    for start, stop, place in zip(sequences.offsets[:-1], sequences.offsets[1:], first, strict=True):
        gaps[start + place : stop] = gaps[start + place : stop] % (GAP_BUCKETS - 2) + 1
    assert (gaps != sequences.gaps).any()
    return sequences.with_times("gaps", gaps)


def test_the_time_of_a_target_changes_nothing(
    gaps_params: TrainParams, frozen: NDArray[np.float32], timed: Sequences, tmp_path: Path
) -> None:
    model = fitted(gaps_params, frozen, timed, tmp_path / "a")
    ranks = evaluate(Scorer(model, ALL, sequences=timed), timed, ALL, EVALUATE)
    # From the validation target on: the same weights, datastore and validation ranks; the test history differs.
    changed = later_changed(timed, timed.train_length)
    other = fitted(gaps_params, frozen, changed, tmp_path / "b")
    assert all(torch.equal(state_of(other)[name], value) for name, value in state_of(model).items())
    assert np.array_equal(prefix_states(model, timed).states, prefix_states(other, changed).states)
    again = evaluate(Scorer(other, ALL, sequences=changed), changed, ALL, EVALUATE)
    assert again["validation"].equals(ranks["validation"])
    assert not again["test"].equals(ranks["test"])
    # From the test target on: all ranks are the same.
    changed = later_changed(timed, timed.test_length)
    assert evaluate(Scorer(other, ALL, sequences=changed), changed, ALL, EVALUATE).equals(ranks)


def test_of_several_targets_the_time_of_each_changes_nothing_before_it(
    gaps_params: TrainParams, frozen: NDArray[np.float32], timed: Sequences, tmp_path: Path
) -> None:
    model = fitted(gaps_params, frozen, timed, tmp_path)
    lengths = np.diff(timed.offsets)
    first = np.minimum(3, lengths)
    split = pl.DataFrame({"user": np.arange(40), "validation_positions": [[] for _ in lengths]}).with_columns(
        test_positions=pl.Series([list(range(3, length)) for length in lengths])
    )
    base = replace(timed, train_length=first, test_length=first)
    several = base._with_all_targets(split.with_columns(pl.col("validation_positions").cast(pl.List(pl.Int64))))
    last = later_changed(several, np.maximum(lengths - 1, 0))
    states = [Scorer(model, ALL, sequences=data).states(data.test_histories(), data.owners) for data in (several, last)]
    assert len(states[0]) > 200
    assert torch.equal(*states)
    # The validation of a training finds the gaps of each target's user.
    ahead = replace(several, validation=several.test, target_rows=several.target_rows[:, [0, 2, 2]])
    scorer = Scorer(model, ALL, dtype=torch.float32, sequences=ahead)
    ranks = rank_targets(scorer, several.test_histories(), several.test, ALL, 256, users=several.owners)
    assert validator(ahead, ALL)(model) == metrics_from_ranks(ranks)


def test_a_model_that_reads_gaps_needs_them(
    gaps_params: TrainParams, frozen: NDArray[np.float32], sequences: Sequences, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match="no gaps to learn from"):
        fitted(gaps_params, frozen, sequences, tmp_path)
    with pytest.raises(DataError, match="reads the time between items"):
        Scorer(new_model(gaps_params, frozen), ALL, sequences=sequences)
