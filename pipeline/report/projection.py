"""Item vectors in the plane, for the map."""

import numpy as np
from numpy.typing import NDArray
from sklearn.manifold import TSNE
from threadpoolctl import threadpool_limits

SIDE = 1000
"""Length of the map's sides."""
MARGIN = 20

PERPLEXITY = 30
ITERATIONS = 350
ANGLE = 0.8
"""Of Barnes-Hut: twice as fast as the usual 0.5, and the map keeps as many neighbours together."""


def project(vectors: NDArray[np.float32]) -> NDArray[np.int64]:
    """Lay vectors out in a square so that similar ones (by cosine, after centring) lie together.

    By t-SNE (van der Maaten and Hinton 2008) from a PCA start, in one thread: equal vectors give equal maps.

    Args:
        vectors: float32 [n, d].

    Returns:
        int64 [n, 2], coordinates x and y in 0..`SIDE`.
    """
    centred = vectors - vectors.mean(0)
    unit = centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-12)
    perplexity = min(PERPLEXITY, (len(unit) - 1) / 3)
    if perplexity < 1 or unit.shape[1] < 2 or np.ptp(unit, axis=0).max() < 1e-6:
        # Too few for a neighbourhood, too narrow for a plane, or all equal, on which t-SNE would crash.
        return _to_square(np.stack([np.arange(len(unit)), np.zeros(len(unit))], axis=1))
    with threadpool_limits(limits=1):
        tsne = TSNE(
            perplexity=perplexity, max_iter=ITERATIONS, angle=ANGLE, init="pca", random_state=0, n_jobs=1
        )
        return _to_square(tsne.fit_transform(unit))


def _to_square(layout: NDArray) -> NDArray[np.int64]:
    """Scale and centre [n, 2] to fill the square but for a margin, both axes alike."""
    low, high = layout.min(0), layout.max(0)
    scale = (SIDE - 2 * MARGIN) / max(float((high - low).max()), 1e-12)
    return np.rint((layout - (low + high) / 2) * scale + SIDE / 2).astype(np.int64)
