"""Indices over the keys of a datastore: exact, and, where a single user must not wait, nearly so."""

from typing import Any, Literal

import faiss
import numpy as np
from numpy.typing import NDArray

Search = Literal["exact", "fast"]

REFINED = 4
"""Keys per neighbour wanted that the fast search compares in full."""

SAMPLE = 65_536
"""Keys that the quantiser is fitted to."""

BLOCK = 65_536
"""Keys that are in float32 at a time."""


def build_index(keys: NDArray[np.float16], search: Search) -> Any:
    """Return a FAISS index by inner product.

    `exact` compares with every key in float32. `fast` scans keys of 4 bits per two dimensions, whose tables lie in
    registers (product quantisation; André et al. 2015, "Cache locality is not enough"), and compares in full with
    the most promising `REFINED` times as many as are wanted. What it misses are some of the farthest neighbours.

    Args:
        keys: [N, D]; for `fast`, N is at least 16.
        search: which.
    """
    width = keys.shape[1]
    parts = width // 2 if width % 2 == 0 else width
    factory = "Flat" if search == "exact" else f"PQ{parts}x4fs,Refine(SQfp16)"
    index: Any = faiss.index_factory(width, factory, faiss.METRIC_INNER_PRODUCT)
    if search == "fast":
        index.k_factor = REFINED
        index.train(keys[:: max(1, len(keys) // SAMPLE)].astype(np.float32))
    for start in range(0, len(keys), BLOCK):
        index.add(keys[start : start + BLOCK].astype(np.float32))
    return index
