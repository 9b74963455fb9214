"""The items of a data set by id and title, and their neighbours by text."""

from collections.abc import Iterable, Mapping, Sequence, Set
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ..core.errors import DataError, ParamsError
from ..core.tables import load_items
from ..core.where import Where
from ..model.inputs import open_store
from ..search.index import ItemIndex
from ..search.vectors import unit_vectors
from .answers import Item, SimilarItem
from .artifacts import require
from .find_items import CANDIDATES, ItemFinder, NotFoundError, label


def require_some(k: int) -> None:
    """Raise ``ParamsError`` if k is no whole number, or below 1."""
    if not isinstance(k, int | np.integer) or isinstance(k, bool) or k < 1:
        raise ParamsError(f"k is {k!r}", remedy="ask for at least one item, by a whole number")


class Catalogue:
    """The items of a data set, found by id or title.

    Args:
        items: the table `items.parquet`; an item without a title is called by its id.
        vectors: float32 [n, F], whitened item vectors.
        store_hash: hash of the store that they come from.
        index: folder of their index; read when neighbours are first asked for.
    """

    def __init__(self, items: pl.DataFrame, vectors: NDArray[np.float32], store_hash: str, index: Path) -> None:
        self._table, self._vectors, self._store_hash, self._folder = items, vectors, store_hash, index
        self.item_ids: list[str] = items["item_id"].to_list()
        untitled = pl.col("title").is_null()
        named = items.select("item_id", title=pl.coalesce("title", "item_id"), year=pl.when(~untitled).then("year"))
        self._titles: list[str] = named["title"].to_list()
        self._years: list[int | None] = named["year"].to_list()
        self._items = list(map(Item, self.item_ids, map(label, self._titles, self._years)))

    @classmethod
    def load(cls, data: Path, item_embeddings: Path, index: Path) -> "Catalogue":
        """Read the artifacts of `ingest`, `encode` and `index`.

        Raises ``DataError``, ``StoreError`` or ``IndexMismatchError`` if one is missing or damaged, or does not fit.
        """
        require(data, item_embeddings, index)
        items = load_items(data / "items.parquet")
        store = open_store(item_embeddings, items)
        return cls(items, store.whitened(), store.hash, index)

    def __len__(self) -> int:
        return len(self.item_ids)

    def __getitem__(self, row: int) -> Item:
        return self._items[row]

    @cached_property
    def index(self) -> ItemIndex:
        """The index of the item vectors."""
        return ItemIndex.open(self._folder, self._store_hash)

    @cached_property
    def unit_vectors(self) -> NDArray[np.float32]:
        """The item vectors scaled to norm 1, float32 [n, F]: their products are cosines."""
        return unit_vectors(self._vectors)

    def where(self, condition: str) -> NDArray[np.bool_]:
        """Return which items meet an SQL condition over the item table, bool [n]; lists are joined by ", ".

        Raises ``ParamsError`` or ``DataError`` if it is no condition on single rows, or cannot be computed.
        """
        table = self._table.with_columns(pl.col(pl.List(pl.String)).list.join(", "))
        return Where(condition, [[table]], "where").keeps(table).to_numpy()

    @cached_property
    def finder(self) -> ItemFinder:
        """Finds rows by id or title. Its search tables of all titles are made when it is first used."""
        return ItemFinder(self.item_ids, self._titles, self._years)

    def rows(
        self, items: Sequence[str | int | Item], where: str, skipped: list[NotFoundError] | None = None
    ) -> NDArray[np.int64]:
        """Return the rows of items, by id or title, or of an answer's items; `where` names their list in messages.

        Items that are not known, or are ambiguous, are left out and appended to `skipped`, if it is given.

        Raises:
            NotFoundError: names these items, unless they are `skipped`.
            DataError: `items` is no list.
        """
        if isinstance(items, str | bytes | Set | Mapping) or not isinstance(items, Iterable):
            what = f"{items!r} is one text" if isinstance(items, str) else f"is a {type(items).__name__}, not a list"
            raise DataError(what, where, "give a list of items")
        rows, unknown = [], []
        for item in items:
            try:
                # Similar titles are suggested for the first names only: all titles are compared.
                suggest = skipped is None and len(unknown) < CANDIDATES
                rows.append(self.find(item, suggest))
            except NotFoundError as error:
                error.where = where
                unknown.append(error)
        if skipped is not None:
            skipped += unknown
        elif unknown:
            raise NotFoundError.of(unknown)
        return np.array(rows, np.int64)

    def find(self, item: str | int | Item, suggest: bool = True) -> int:
        """Return the row of an item, as `ItemFinder.find` does, or of an answer's item."""
        return self.finder.find(item.item_id if isinstance(item, Item) else item, suggest)

    def similar(self, row: int, k: int) -> list[SimilarItem]:
        """Return the k items whose text vectors are most similar to the vector of the item in `row`, best first.

        Only items with a similarity above 0 are returned, so none for an item without text. Raises ``ParamsError`` if k
        is below 1.
        """
        require_some(k)
        similarities, rows = self.index.search(self._vectors[row : row + 1], int(k) + 1)  # [1, k + 1] each
        found = [
            SimilarItem(self.item_ids[other], self[other].title, float(similarity))
            for similarity, other in zip(similarities[0], rows[0], strict=True)
            if other != row and similarity > 0  # a place without a neighbour has -inf
        ]
        return found[:k]
