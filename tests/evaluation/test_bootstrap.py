"""The bootstrap: intervals hold the mean, p-values tell differences from noise."""

from pathlib import Path

import numpy as np
import pytest
from hierrec.evaluation.summary import certainty, intervals, p_values, resampled_means
from hierrec.params import load_params
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats


def means_of_users(values: NDArray[np.float64], resamples: int, seed: int) -> NDArray[np.float64]:
    """Return the resampled means where each user has one target."""
    return resampled_means(values, np.arange(len(values)), resamples, seed)


@given(st.integers(1, 60), st.integers(0, 2**32))
def test_the_interval_holds_the_mean_and_lies_within_the_values(users: int, seed: int) -> None:
    values = np.random.default_rng(seed).random((users, 2))
    means = means_of_users(values, 200, seed)
    low, high = intervals(means)
    assert means.shape == (200, 2)
    assert (low <= values.mean(0) + 1e-12).all()
    assert (high >= values.mean(0) - 1e-12).all()
    assert (values.min(0) - 1e-12 <= low).all()
    assert (high <= values.max(0) + 1e-12).all()


def test_the_same_users_are_drawn_for_equal_seeds() -> None:
    values = np.random.default_rng(0).random((50, 1))
    both = means_of_users(np.hstack([values, 2 * values]), 100, 1)
    np.testing.assert_allclose(both[:, 1], 2 * both[:, 0])
    np.testing.assert_array_equal(both, means_of_users(np.hstack([values, 2 * values]), 100, 1))
    assert not np.array_equal(both, means_of_users(np.hstack([values, 2 * values]), 100, 2))


def test_a_user_is_drawn_with_all_targets() -> None:
    values = np.array([[1.0], [1.0], [1.0], [0.0]])
    means = resampled_means(values, np.array([3, 3, 3, 8]), 500, 1)
    assert set(np.unique(means)) == {0.0, 0.75, 1.0}  # the mean over the targets of the drawn users
    params = load_params(Path(__file__).parents[2] / "params.yaml").evaluate
    assert certainty({"x": values[:, 0]}, np.array([3, 3, 3, 8]), params)["x"]["low"] == 0


def test_agrees_with_scipy() -> None:
    values = np.random.default_rng(3).exponential(size=400)
    low, high = intervals(means_of_users(values[:, None], 4000, 1))
    theirs = stats.bootstrap(
        (values,), np.mean, n_resamples=4000, method="percentile", rng=np.random.default_rng(2)
    ).confidence_interval
    width = theirs.high - theirs.low
    assert low[0] == pytest.approx(theirs.low, abs=0.05 * width)
    assert high[0] == pytest.approx(theirs.high, abs=0.05 * width)


def test_nine_of_ten_intervals_and_more_hold_the_truth() -> None:
    generator = np.random.default_rng(4)
    hits = 0
    for seed in range(200):
        low, high = intervals(means_of_users(generator.random((80, 1)), 200, seed))
        hits += bool(low[0] <= 0.5 <= high[0])
    assert 0.9 < hits / 200 < 0.99


@given(st.integers(1, 50), st.integers(0, 2**32))
def test_no_difference_is_certain_chance(users: int, seed: int) -> None:
    assert p_values(means_of_users(np.zeros((users, 3)), 50, seed)).tolist() == [1, 1, 1]


def test_a_real_difference_has_a_small_p_and_noise_has_none() -> None:
    noise = np.random.default_rng(5).standard_normal(500)
    noise -= noise.mean()
    differences = np.stack([noise + 0.3, noise - 0.3, noise], 1)
    better, worse, equal = p_values(means_of_users(differences, 1000, 1))
    assert better == worse == pytest.approx(2 / 1001)  # both directions count, and p is never 0
    assert equal > 0.5


def test_p_agrees_with_the_t_test_where_that_holds() -> None:
    differences = np.random.default_rng(6).standard_normal((400, 1)) + 0.1
    theirs = float(np.asarray(stats.ttest_1samp(differences[:, 0], 0))[1])
    assert 0.01 < theirs < 0.5
    assert p_values(means_of_users(differences, 4000, 1))[0] == pytest.approx(theirs, rel=0.3)
