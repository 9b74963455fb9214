"""The total order of interactions, by user, timestamp and row; memory holds the rows of some users at a time.

The rows are distributed, in one file, over buckets of consecutive users. Then each bucket is sorted in its place.
"""

from collections.abc import Iterator
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ..core.errors import quote
from .event_log import EventLog, RowFile

Repeats = Literal["keep", "first", "last", "refuse"]

BUCKET = 2**20  # rows of a bucket, not counting the rows of its last user


class OrderedEvents:
    """The interactions of a log by (user, timestamp, row), a bucket of whole users at a time.

    Yields tables of user, item and position (int32), rating (int8 if all are whole numbers, else float64) and timestamp
    (int64 or float64), as often as it is iterated. Raises ``DataError`` if repeats are refused and a user has an item
    twice: for the first such row of the first bucket that has one.

    Args:
        log: at least one interaction.
        users, items: int32, the new number of each user and of each item of the log.
        repeats: which interactions of a user with one item count: all (`keep`, but one per timestamp), the `first` or
            the `last`; `refuse`: there must be only one.
    """

    def __init__(self, log: EventLog, users: NDArray[np.int32], items: NDArray[np.int32], repeats: Repeats) -> None:
        self._items = items
        self.removed = 0  # number of interactions that do not count
        self.repeated = np.zeros(len(users), np.bool_)  # [users], whether a user has an item twice
        counts = np.zeros_like(log.user_counts)
        counts[users] = log.user_counts
        ends = np.cumsum(counts)  # [users], in their new order
        bucket = (ends - counts) // BUCKET  # [users]
        last = np.append(np.flatnonzero(np.diff(bucket)), len(counts) - 1)  # [buckets], its last user
        self._starts = np.append(0, ends[last[:-1]])  # [buckets]
        self._lengths = np.diff(self._starts, append=ends[-1])  # [buckets], rows that count
        self._rows = RowFile(log.rows.dtype)
        self._ratings = pl.Int8 if log.whole_ratings else pl.Float64
        self._deal_out(log, users, np.searchsorted(last, np.arange(len(counts))))
        for number, rows in enumerate(self.rows()):
            if repeats == "refuse":
                _refuse_repeats(rows, log, users)
            ordered = rows[np.lexsort((rows["timestamp"], rows["user"]))]  # stable
            kept = ordered if repeats == "refuse" else self._counting(ordered, repeats)
            self._rows.write(int(self._starts[number]), kept)
            self._lengths[number] = len(kept)
            self.removed += len(rows) - len(kept)

    def __iter__(self) -> Iterator[pl.DataFrame]:
        for rows in self.rows():
            rating = pl.Series(rows["rating"]).fill_nan(None) if self._rows.rated else pl.lit(None)
            yield pl.DataFrame({"user": rows["user"], "timestamp": rows["timestamp"]}).select(
                pl.col("user").cast(pl.Int32),
                item=pl.Series(self._items[rows["item"]]),
                position=pl.int_range(pl.len(), dtype=pl.Int32).over("user"),
                rating=rating.cast(self._ratings),
                timestamp="timestamp",
            )

    def rows(self) -> Iterator[NDArray[np.void]]:
        """Yield the rows that count, a bucket at a time, with the new numbers of users and the log's of items."""
        for start, length in zip(self._starts.tolist(), self._lengths.tolist(), strict=True):
            yield self._rows.read(start, length)

    def _deal_out(self, log: EventLog, users: NDArray[np.int32], bucket_of: NDArray[np.int64]) -> None:
        """Write each row, with its user's number, into the user's bucket; within a bucket, rows keep their order."""
        free = self._starts.copy()  # [buckets], place of the next row
        for block in log.blocks():
            numbers = users[block["user"]]
            bucket = bucket_of[numbers]  # [rows]
            order = np.argsort(bucket, kind="stable")
            rows = block[order]
            rows["user"] = numbers[order]
            parts, starts = np.unique(bucket[order], return_index=True)
            for part, piece in zip(parts, np.split(rows, starts[1:]), strict=True):
                self._rows.write(int(free[part]), piece)
                free[part] += len(piece)

    def _counting(self, rows: NDArray[np.void], repeats: Repeats) -> NDArray[np.void]:
        """Return the ordered rows that count, and note the users who have an item twice."""
        pair, moment = pl.col("pair"), pl.struct("pair", "time")
        table = pl.DataFrame({"user": rows["user"], "pair": _pairs(rows), "time": rows["timestamp"]})
        counts = {
            "first": pair.is_first_distinct(),
            "last": pair.is_last_distinct(),
            "keep": moment.is_first_distinct(),
        }
        kept = table.select(counts[repeats]).to_series()
        again = table.filter(kept).filter(~pair.is_first_distinct())
        self.repeated[again["user"].to_numpy()] = True
        return rows[kept.to_numpy()]


def _pairs(rows: NDArray[np.void]) -> NDArray[np.uint64]:
    """Return one number for each pair of user and item, [rows]."""
    return rows["user"].astype(np.uint64) << np.uint64(32) | rows["item"]


def _refuse_repeats(rows: NDArray[np.void], log: EventLog, users: NDArray[np.int32]) -> None:
    """Refuse a bucket's rows, in the order of their files, that repeat the user and item of an earlier row."""
    checks = log.checks
    checks.rows = rows["line"]

    def named(row: int) -> str:
        user = log.user_ids(np.flatnonzero(users == rows["user"][row]))[0]
        item = log.item_ids(rows["item"][[row]])[0]
        return f"{checks.user} {quote(user)}, {checks.item} {quote(item)}"

    remedy = f"keep one {checks.unit} of each {checks.user} and {checks.item}, e.g. the first (ingest.repeats: first)"
    checks.refuse_duplicates(pl.Series(_pairs(rows)), remedy, named)
