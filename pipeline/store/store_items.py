"""What a store says of its items: a table in memory, or shards of which those rows are read that are asked for."""

from collections.abc import Sequence
from functools import cached_property
from typing import Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ..core.errors import StoreError
from .id_index import IdIndex
from .shards import Shard, as_frame
from .store_files import REMEDY, SCHEMA


class Items(Protocol):
    """The items of a store."""

    @property
    def table(self) -> pl.DataFrame:
        """Row, item_id, title, text, text_hash; all rows, in memory."""
        ...

    @property
    def ids(self) -> pl.Series:
        """Item ids by row."""
        ...

    def row(self, item_id: str) -> int | None:
        """Return the row of an item; None: there is no such item."""
        ...

    def take(self, rows: NDArray[np.int64]) -> pl.DataFrame:
        """Return some rows of the table, in this order."""
        ...


class TableItems:
    """The items of a store of one file."""

    def __init__(self, table: pl.DataFrame) -> None:
        self.table = table

    @property
    def ids(self) -> pl.Series:
        """Item ids by row."""
        return self.table["item_id"]

    def row(self, item_id: str) -> int | None:
        """Return the row of an item."""
        return self._rows.get(item_id)

    def take(self, rows: NDArray[np.int64]) -> pl.DataFrame:
        """Return some rows of the table."""
        return self.table[rows]

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {item_id: row for row, item_id in enumerate(self.ids)}


class ShardedItems:
    """The items of a store in shards.

    Args:
        shards: in order.
        index: of their ids.
    """

    def __init__(self, shards: Sequence[Shard], index: IdIndex) -> None:
        self._shards, self._index = shards, index
        self._starts = np.array([shard.first for shard in shards])

    @property
    def table(self) -> pl.DataFrame:
        """All rows, read anew each time: no reference keeps them in memory."""
        return pl.concat([as_frame(shard.items) for shard in self._shards])

    @property
    def ids(self) -> pl.Series:
        """Item ids by row."""
        return pl.concat([pl.Series("item_id", shard.items["item_id"]) for shard in self._shards])

    def row(self, item_id: str) -> int | None:
        """Return the row of an item; the ids of other items that have its hash are told from it.

        Raises:
            StoreError: the index names a row that there is not, or a shard is damaged.
        """
        for row in self._index.find(item_id):
            shard, place = self._locate(row)
            if shard.items["item_id"][place].as_py() == item_id:
                return row
        return None

    def take(self, rows: NDArray[np.int64]) -> pl.DataFrame:
        """Return some rows of the table."""
        found = [
            as_frame(shard.items[place : place + 1]) for shard, place in map(self._locate, rows.tolist())
        ]
        return pl.concat(found) if found else pl.DataFrame(schema=SCHEMA)

    def _locate(self, row: int) -> tuple[Shard, int]:
        """Return the shard of a row and its place there."""
        shard = self._shards[max(0, int(self._starts.searchsorted(row, "right")) - 1)]
        if not 0 <= row - shard.first < shard.count:
            raise StoreError(f"the index of ids names row {row}", str(shard.path.parent), REMEDY)
        return shard, row - shard.first
