"""The items of a data set by id and title, and their neighbours by text."""

from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ..core.errors import ParamsError
from ..data.tables import load_items
from ..model.inputs import open_store
from ..search.index import ItemIndex
from .answers import Item, SimilarItem
from .artifacts import require
from .find_items import ItemFinder, label


def require_some(k: int) -> None:
    """Refuse to answer with no item at all.

    Raises:
        ParamsError: k is below 1.
    """
    if k < 1:
        raise ParamsError(f"k is {k}", remedy="ask for at least one item")


class Catalogue:
    """Items, addressed by what people call them.

    Args:
        items: the table `items.parquet`; an item without a title is called by its id.
        vectors: float32 [n, F], whitened item vectors.
        store_hash: hash of the store that they come from.
        index: folder of their index; read when neighbours are first asked for.
    """

    def __init__(
        self, items: pl.DataFrame, vectors: NDArray[np.float32], store_hash: str, index: Path
    ) -> None:
        items = items.with_columns(pl.col("title").fill_null(pl.col("item_id")))
        self._table, self._vectors, self._store_hash, self._folder = items, vectors, store_hash, index
        self.item_ids: list[str] = items["item_id"].to_list()
        self._titles = [
            label(*values) for values in zip(*items.select("item_id", "title", "year"), strict=True)
        ]

    @classmethod
    def load(cls, data: Path, item_embeddings: Path, index: Path) -> "Catalogue":
        """Read the artifacts of `ingest`, `encode` and `index`.

        Raises:
            DataError, StoreError, IndexMismatchError: one is missing, damaged, or does not belong to the others.
        """
        require(data, item_embeddings, index)
        items = load_items(data / "items.parquet")
        store = open_store(item_embeddings, items)
        return cls(items, store.whitened(), store.hash, index)

    def __len__(self) -> int:
        return len(self.item_ids)

    def __getitem__(self, row: int) -> Item:
        return Item(self.item_ids[row], self._titles[row])

    @cached_property
    def index(self) -> ItemIndex:
        """The index of the item vectors."""
        return ItemIndex.open(self._folder, self._store_hash)

    def row(self, item: str | int) -> int:
        """Return the row of the item with this id or title.

        Raises:
            NotFoundError: there is none, or there are several.
        """
        return self._finder.find(str(item))

    def search(self, query: str, k: int) -> list[int]:
        """Return the rows of up to k items whose titles contain the query, then of those that are spelt like it."""
        return self._finder.search(query, k)

    def similar(self, item: str | int, k: int) -> list[SimilarItem]:
        """Return the k items whose text vectors are most similar to an item's, best first.

        Raises:
            NotFoundError: as for `row`.
            ParamsError: k is below 1.
        """
        require_some(k)
        row = self.row(item)
        similarities, rows = self.index.search(self._vectors[row : row + 1], k + 1)  # [1, k + 1] each
        found = [
            SimilarItem(self.item_ids[other], self._titles[other], float(similarity))
            for similarity, other in zip(similarities[0], rows[0], strict=True)
            if other not in (row, -1)
        ]
        return found[:k]

    @cached_property
    def _finder(self) -> ItemFinder:
        columns = (self._table[name].to_list() for name in ("item_id", "title", "year"))
        return ItemFinder(*columns)
