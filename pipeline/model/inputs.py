"""What the recommender reads: sequences, candidates, and the frozen item vectors that belong to them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ..core.errors import DataError, StoreError
from ..data.sequences import Sequences
from ..data.tables import interaction_groups, load_items, load_split
from ..store.store import EmbeddingStore


@dataclass(frozen=True)
class Inputs:
    """The data with the vectors that belong to it.

    Attributes:
        items: the table `items.parquet`.
        sequences: every user's items, and the split.
        candidates: bool [n], items that may be ranked.
        validation_candidates: bool [n], those of them that were known before the cut of the validation.
        repeated: whether a user has an item twice.
        frozen: float32 [n, F], whitened item vectors.
        store_hash: hash of the store they come from.
    """

    items: pl.DataFrame
    sequences: Sequences
    candidates: NDArray[np.bool_]
    validation_candidates: NDArray[np.bool_]
    repeated: bool
    frozen: NDArray[np.float32]
    store_hash: str


def load_inputs(data: Path, item_embeddings: Path) -> Inputs:
    """Read and check the artifacts of `ingest` and `encode`.

    Args:
        data: folder of the tables.
        item_embeddings: folder of the store.

    Raises:
        DataError, StoreError: an artifact is missing or damaged, or the two name different items.
    """
    items = load_items(data / "items.parquet")
    store = open_store(item_embeddings, items)
    sequences = Sequences.from_tables(_listed(data, len(items)), load_split(data / "split.parquet"))
    by_time = "validation_candidate" in items.columns
    return Inputs(
        items=items,
        sequences=sequences,
        candidates=items["candidate"].to_numpy(),
        validation_candidates=items["validation_candidate" if by_time else "candidate"].to_numpy(),
        repeated=sequences.repeated,
        frozen=store.whitened(),
        store_hash=store.hash,
    )


def _listed(data: Path, count: int) -> Iterator[pl.DataFrame]:
    """Read the interactions in parts, and refuse items beyond the number of those that are listed."""
    for part in interaction_groups(data / "interactions.parquet"):
        if part["item"].max() >= count:  # type: ignore[operator]
            raise DataError(
                "an interaction names an item that is not listed", str(data), "run `dvc repro ingest`"
            )
        yield part


def open_store(folder: Path, items: pl.DataFrame) -> EmbeddingStore:
    """Open the store of a data set's items.

    Args:
        folder: of the store.
        items: the table `items.parquet`.

    Raises:
        StoreError: the store is missing or damaged, or names other items.
    """
    store = EmbeddingStore.open(folder)
    if store.item_ids != items["item_id"].to_list():
        raise StoreError("holds other items than the data", str(folder), "run `dvc repro encode`")
    return store
