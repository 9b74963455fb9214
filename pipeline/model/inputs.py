"""The model's inputs: sequences, candidates and the frozen item vectors."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ..core.errors import DataError, StoreError
from ..core.sequences import Sequences
from ..core.tables import candidates_of, interaction_groups, load_items, load_split, load_times
from ..store.store import EmbeddingStore


@dataclass(frozen=True)
class Inputs:
    """A data set with its item vectors."""

    items: pl.DataFrame  # the table `items.parquet`
    sequences: Sequences  # every user's items, and the split
    candidates: NDArray[np.bool_]  # [n], items that may be ranked
    validation_candidates: NDArray[np.bool_]  # [n], items that may be ranked for the validation
    frozen: NDArray[np.float32]  # [n, F], whitened item vectors
    store_hash: str  # hash of the vectors' store

    def before_test(self) -> "Inputs":
        """Return the inputs with every item before the test as a training item."""
        return replace(self, sequences=self.sequences.before_test())

    def whole(self) -> "Inputs":
        """Return the inputs for use: every item of a user is a training item, and may be recommended."""
        sequences = self.sequences.whole()
        taken = sequences.training_counts(len(self.items)) > 0  # [n]
        return replace(self, sequences=sequences, candidates=self.candidates | taken)


def load_inputs(data: Path, item_embeddings: Path) -> Inputs:
    """Read and check the tables of `ingest` in `data` and the store of `encode` in `item_embeddings`.

    Raises ``DataError`` or ``StoreError`` if one is missing or damaged, or the two name different items.
    """
    items = load_items(data / "items.parquet")
    store = open_store(item_embeddings, items)
    sequences = Sequences.from_tables(_interactions(data, len(items)), load_split(data / "split.parquet"))
    for name in ("gaps", "clock"):
        if (times := data / "times" / f"{name}.parquet").exists():
            sequences = sequences.with_times(name, load_times(times))
    return Inputs(items, sequences, *candidates_of(items), store.whitened(), store.hash)


def _interactions(data: Path, item_count: int) -> Iterator[pl.DataFrame]:
    """Read the interactions in parts; refuse item rows of `item_count` or more."""
    for part in interaction_groups(data / "interactions.parquet"):
        if part["item"].max() >= item_count:  # type: ignore[operator]
            raise DataError("an interaction names an item that is not listed", str(data), "run `dvc repro`")
        yield part


def open_store(folder: Path, items: pl.DataFrame) -> EmbeddingStore:
    """Open the embedding store of the items in the table `items.parquet`; raise ``StoreError`` if it names others."""
    store = EmbeddingStore.open(folder)
    if store.item_ids != items["item_id"].to_list():
        raise StoreError("holds other items than the data", str(folder), "run `dvc repro`")
    return store
