"""How well one set of vectors keeps the similarities of another."""

import numpy as np
from scipy.stats import spearmanr


def centred_cosines(vectors: np.ndarray) -> np.ndarray:
    """Cosines of all pairs after centring: [n, d] to [n, n]."""
    centred = vectors - vectors.mean(0)
    units = centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-12)
    return units @ units.T


def pair_correlation(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Spearman correlation of the centred cosines of all pairs."""
    upper = np.triu_indices(len(ours), 1)
    return float(spearmanr(centred_cosines(ours)[upper], centred_cosines(theirs)[upper]).statistic)


def nearest(vectors: np.ndarray, queries: np.ndarray, k: int) -> np.ndarray:
    """Rows of the k nearest by centred cosine, itself left out, ties by row: [q, k]."""
    cosines = centred_cosines(vectors)
    np.fill_diagonal(cosines, -np.inf)
    return np.argsort(-cosines[queries], axis=1, kind="stable")[:, :k]


def overlap(ours: np.ndarray, theirs: np.ndarray, queries: np.ndarray, k: int = 10) -> float:
    """Share of the k nearest by `theirs` that are among the k nearest by `ours`, mean over the queries."""
    pairs = zip(nearest(ours, queries, k), nearest(theirs, queries, k), strict=True)
    return float(np.mean([len(set(a) & set(b)) / k for a, b in pairs]))
