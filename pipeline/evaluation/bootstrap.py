"""How certain a metric is, and whether two variants differ: the bootstrap over users."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from .params import EvaluateParams

CONFIDENCE = 0.95


def resampled_means(
    values: NDArray[np.float64], resamples: int, seed: int, users: NDArray[np.int64] | None = None
) -> NDArray[np.float64]:
    """Return the means, float64 [R, M], of R resamples; each draws as many users as there are, with replacement.

    Equal seeds draw the same users, so that the columns, and the variants, are paired.

    `values` [N, M] are M values of each target, `users` [N] the user of each; a drawn user brings all its targets.
    None: each user has one target.
    """
    generator = np.random.default_rng(seed)
    owners = np.arange(len(values)) if users is None else np.unique(users, return_inverse=True)[1]  # [N]
    counts = np.bincount(owners)  # [U]
    sums = np.zeros((len(counts), values.shape[1]))
    np.add.at(sums, owners, values)
    means = np.empty((resamples, values.shape[1]))
    for mean in means:
        drawn = np.bincount(generator.integers(len(counts), size=len(counts)), minlength=len(counts))
        mean[:] = drawn @ sums / (drawn @ counts)
    return means


def intervals(means: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the lower and upper ends [M] of the percentile intervals of resampled means [R, M]."""
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(means, [tail, 1 - tail], axis=0)
    return low, high


def p_values(differences: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the two-sided p [M] of "no difference", from resampled mean differences [R, M].

    Twice the share of resamples in which the difference is zero or has the other sign (Efron and Tibshirani 1993,
    section 15.4). The data count as one more resample, so that p is never 0.
    """
    smaller = np.minimum((differences <= 0).sum(0), (differences >= 0).sum(0))  # [M]
    return np.minimum(1, 2 * (1 + smaller) / (1 + len(differences)))


def certainty(
    values: Mapping[str, NDArray[np.float64]], users: NDArray[np.int64], params: EvaluateParams
) -> dict[str, dict[str, float]]:
    """Return the 95% interval of each mean, and the p of "it is 0": `{name: {"low": …, "high": …, "p": …}}`.

    `values` are [N] of each name, `users` int64 [N] the users of the targets.
    """
    stacked = np.stack(list(values.values()), 1)  # [N, M]
    means = resampled_means(stacked, params.resamples, params.seed, users)  # [R, M]
    low, high, p = *intervals(means), p_values(means)
    ends = zip(low.tolist(), high.tolist(), p.tolist(), strict=True)
    return {name: dict(zip(("low", "high", "p"), end, strict=True)) for name, end in zip(values, ends, strict=True)}
