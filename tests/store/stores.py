"""Small stores on disk."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from hierrec.encode.store_writer import write_store
from hierrec.store.whitening import Whitening
from numpy.typing import NDArray

DESCRIPTION: dict[str, Any] = {
    "model": {
        "id": "m",
        "revision": None,
        "weights_sha256": "w",
        "tokenizer_sha256": "t",
        "config_sha256": "c",
    },
    "pooling": "mean",
    "max_length": 32,
    "dtype": "float32",
}


def make_store(
    folder: Path,
    ids: Sequence[str],
    vectors: NDArray[np.float32],
    titles: Sequence[str] | None = None,
    dimension: int | None = None,
    shard_rows: int | None = None,
) -> Path:
    """Write a store of these vectors; without titles, item `x` is called `Film x`; without `shard_rows`, one file."""
    titles = [f"Film {item_id}" for item_id in ids] if titles is None else titles
    items = pl.DataFrame({"item_id": ids, "title": titles}, {"item_id": pl.String, "title": pl.String})
    texts = [f"{title}." for title in titles]
    whitening = Whitening.fit(vectors, dimension)
    write_store(folder, items, texts, vectors, whitening, "{title}.", DESCRIPTION, shard_rows)
    return folder
