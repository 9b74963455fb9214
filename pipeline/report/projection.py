"""Item vectors projected onto the plane of the map."""

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
"""Of Barnes-Hut. It takes half the time of the usual 0.5, and the map keeps as many neighbours together."""


def project(vectors: NDArray[np.float32]) -> NDArray[np.int64]:
    """Place vectors in a square so that similar ones, by cosine after centring, are close.

    This is t-SNE (van der Maaten and Hinton 2008) from a PCA start, in one thread: equal vectors give equal maps.

    Args:
        vectors: float32 [n, d].

    Returns:
        int64 [n, 2], coordinates x and y in 0..`SIDE`.
    """
    centred = vectors - vectors.mean(0)
    unit = centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-12)
    perplexity = min(PERPLEXITY, (len(unit) - 1) / 3)
    if perplexity < 1 or unit.shape[1] < 2 or np.ptp(unit, axis=0).max() < 1e-6:
        # t-SNE crashes on equal vectors, and needs more than a few vectors of more than one dimension.
        layout = np.stack([np.arange(len(unit)), np.zeros(len(unit))], axis=1)
    else:
        tsne = TSNE(perplexity=perplexity, max_iter=ITERATIONS, angle=ANGLE, init="pca", random_state=0)
        with threadpool_limits(limits=1):
            layout = tsne.fit_transform(unit)
    low, high = layout.min(0), layout.max(0)
    scale = (SIDE - 2 * MARGIN) / max(float((high - low).max()), 1e-12)  # the same for both axes
    return np.rint((layout - (low + high) / 2) * scale + SIDE / 2).astype(np.int64)
