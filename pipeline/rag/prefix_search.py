"""FAISS indices over the keys of a datastore: exact, or fast and approximate for single users."""

from typing import Any, Literal

import faiss
import numpy as np
from numpy.typing import NDArray

Search = Literal["exact", "fast"]

REFINED = 4
"""The fast search compares this many keys in full per neighbour."""
PROBED = 8
"""The fast search reads one of this many lists of keys."""
SAMPLE = 65_536
"""Keys that train the lists and the quantiser."""
ROUNDS = 10
"""Iterations of k-means for the lists."""
BLOCK = 65_536
"""Keys that are converted to float32 at a time."""


def build_index(keys: NDArray[np.float16], search: Search) -> Any:
    """Return a FAISS index by inner product over keys [N, D].

    `exact` compares every key in float32. `fast` (N >= 16) reads the lists nearest to the query, with a product
    quantiser of 4 bits per two dimensions whose tables fit in registers (André et al. 2015, "Cache locality is not
    enough"), and compares the best `REFINED` keys per neighbour in float16. It misses some of the farthest neighbours.
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
