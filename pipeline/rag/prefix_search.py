"""Indices over the keys of a datastore: exact, and, where a single user must not wait, nearly so."""

from typing import Any, Literal

import faiss
import numpy as np
from numpy.typing import NDArray

Search = Literal["exact", "fast"]

REFINED = 4
"""Keys per neighbour wanted that the fast search compares in full."""

PROBED = 8
"""The fast search reads one list of keys in so many."""

SAMPLE = 65_536
"""Keys that the lists and the quantiser are fitted to."""

ROUNDS = 10
"""Of k-means, for the lists."""

BLOCK = 65_536
"""Keys that are in float32 at a time."""


def build_index(keys: NDArray[np.float16], search: Search) -> Any:
    """Return a FAISS index by inner product.

    `exact` compares with every key in float32. `fast` reads the nearest of its lists of keys, 4 bits per two
    dimensions, whose tables lie in registers (product quantisation; André et al. 2015, "Cache locality is not
    enough"), and compares in full with the most promising `REFINED` times as many as are wanted. What it misses are
    some of the farthest neighbours.

    Args:
        keys: [N, D]; for `fast`, N is at least 16.
        search: which.
    """
    width = keys.shape[1]
    parts = width // 2 if width % 2 == 0 else width
    lists = max(1, round(len(keys) ** 0.5 / 2))
    factory = "Flat" if search == "exact" else f"IVF{lists},PQ{parts}x4fs,Refine(SQfp16)"
    index: Any = faiss.index_factory(width, factory, faiss.METRIC_INNER_PRODUCT)
    if search == "fast":
        index.k_factor = REFINED
        inverted = faiss.extract_index_ivf(index.base_index)
        inverted.nprobe, inverted.cp.niter = max(1, lists // PROBED), ROUNDS
        index.train(keys[:: max(1, len(keys) // SAMPLE)].astype(np.float32))
    for start in range(0, len(keys), BLOCK):
        index.add(keys[start : start + BLOCK].astype(np.float32))
    return index
