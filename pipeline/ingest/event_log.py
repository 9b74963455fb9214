"""Interactions as numbers in a file, in the order of their source: memory holds the ids, and no row."""

import bisect
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ..core.errors import MachineError
from ..core.files import cache_dir
from .checks import Unit

BLOCK = 2**20
"""Rows in memory at a time."""

_IN_MEMORY = 2**26
"""Bytes that stay in memory; a longer file goes to the disk."""


class RowFile:
    """Rows of numbers in a file without a name, which the system removes with the process; a small one is in memory.

    Args:
        timestamp: numpy's type of timestamps, `i8` or `f8`.
        rated: whether a row has a rating, float64; NaN stands for none.
    """

    def __init__(self, timestamp: str, rated: bool = False) -> None:
        fields = [("user", "u4"), ("item", "u4"), ("line", "i8"), ("timestamp", timestamp)]
        self.rated = rated
        self.dtype = np.dtype([*fields, ("rating", "f8")] if rated else fields)
        self._folder = cache_dir("ingest")
        self._file = tempfile.SpooledTemporaryFile(_IN_MEMORY, dir=str(self._folder))  # noqa: SIM115 - lives as long as self

    def write(self, start: int, rows: NDArray[np.void]) -> None:
        """Write rows from row `start` on.

        Raises:
            MachineError: the disk is full.
        """
        with self._machine_errors():
            self._file.seek(start * self.dtype.itemsize)
            self._file.write(rows.tobytes())

    def read(self, start: int, count: int) -> NDArray[np.void]:
        """Return so many rows from row `start` on.

        Raises:
            MachineError: the disk cannot be read.
        """
        with self._machine_errors():
            self._file.seek(start * self.dtype.itemsize)
            return np.frombuffer(self._file.read(count * self.dtype.itemsize), self.dtype)

    @contextmanager
    def _machine_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            what = f"rows of interactions cannot be written ({error.strerror})"
            remedy = "free space on that disk, or set the environment variable HIERREC_CACHE to a folder of another one"
            raise MachineError(what, str(self._folder), remedy) from None


@dataclass
class Origin:
    """The files whose rows, one file after the other, are numbered through in a log.

    Attributes:
        user: what the files call the column of users.
        item: what they call that of items.
        unit: what they call a row.
    """

    user: str = "user"
    item: str = "item"
    unit: Unit = "row"
    _places: list[str] = field(default_factory=list)
    _starts: list[int] = field(default_factory=list)

    def add(self, place: str, start: int) -> None:
        """Add the next file; so many rows are before its own."""
        self._places.append(place)
        self._starts.append(start)

    def find(self, line: int) -> tuple[str, int]:
        """Return the file of a row, and the row's number there, from 0."""
        number = bisect.bisect_right(self._starts, line) - 1
        return self._places[number], line - self._starts[number]


class EventLog:
    """Interactions, appended a block at a time, and read again as often as it takes.

    Ids are numbered as they come, users from 0, items after those that are listed.

    Args:
        listed: ids of items, text, each once: item i is the i-th.
        origin: files whose rows these are, which may hold each user and item once; None: that is not checked.
    """

    def __init__(self, listed: pl.Series, origin: Origin | None = None) -> None:
        self.origin, self.listed = origin, listed
        self._users, self._items = _no_ids(), _no_ids()
        self.item_codes(listed)
        self._rows: RowFile | None = None
        self._count = 0
        self.user_counts = np.zeros(0, np.int64)
        """Int64 [users], interactions of each."""
        self.item_seen = np.zeros(len(listed), np.bool_)
        """Bool [items], whether an interaction names it."""
        self.whole_ratings = True
        """Whether all ratings are whole numbers of at most two digits."""

    @classmethod
    def of(cls, interactions: pl.DataFrame, listed: pl.Series) -> "EventLog":
        """Return the log of a table (see `raw.INTERACTIONS`)."""
        log = cls(listed)
        for block in interactions.iter_slices(BLOCK):
            codes = log.item_codes(block["item_id"])
            log.append(block["user_id"], codes, block["timestamp"], block["rating"])
        return log

    def __len__(self) -> int:
        return self._count

    @property
    def rows(self) -> RowFile:
        """The rows, at least one of which has been appended."""
        assert self._rows is not None
        return self._rows

    def item_codes(self, ids: pl.Series) -> pl.Series:
        """Return the numbers of items, uint32; new ones get the next."""
        return ids.cast(self._items.dtype).to_physical()

    def append(
        self,
        users: pl.Series,
        items: pl.Series,
        timestamps: pl.Series,
        ratings: pl.Series | None = None,
        lines: NDArray[np.int64] | None = None,
    ) -> None:
        """Append rows.

        Args:
            users: ids, text.
            items: numbers, see `item_codes`.
            timestamps: int64, or float64, the same in all blocks.
            ratings: numbers, null where there is none; None: there are none, in no block.
            lines: the rows' numbers in their files, which are numbered through; None: they follow those before.
        """
        times = timestamps.to_numpy()
        if self._rows is None:
            self._rows = RowFile(times.dtype.str[1:], ratings is not None)
        rows = np.empty(len(users), self._rows.dtype)
        rows["user"] = users.cast(self._users.dtype).to_physical().to_numpy()
        rows["item"] = items.to_numpy()
        rows["line"] = np.arange(self._count, self._count + len(rows)) if lines is None else lines
        rows["timestamp"] = times
        if ratings is not None:
            rows["rating"] = numbers = ratings.cast(pl.Float64).fill_null(np.nan).to_numpy()
            whole = np.isnan(numbers) | ((numbers == np.rint(numbers)) & (np.abs(numbers) < 100))
            self.whole_ratings &= bool(whole.all())
        self._rows.write(self._count, rows)
        self._count += len(rows)
        self._tally(rows)

    def append_rows(self, rows: NDArray[np.void], other: "EventLog") -> None:
        """Append rows of another log, of the same listed items."""
        ratings = pl.Series(rows["rating"]).fill_nan(None) if other.rows.rated else None
        items = self.item_codes(other.item_ids(rows["item"]))
        times, lines = pl.Series(rows["timestamp"]), rows["line"]
        self.append(other.user_ids(rows["user"]), items, times, ratings, lines)

    def _tally(self, rows: NDArray[np.void]) -> None:
        counts = np.bincount(rows["user"], minlength=len(self.user_counts))
        counts[: len(self.user_counts)] += self.user_counts
        self.user_counts = counts
        further = max(0, int(rows["item"].max(initial=0)) + 1 - len(self.item_seen))
        self.item_seen = np.append(self.item_seen, np.zeros(further, np.bool_))
        self.item_seen[rows["item"]] = True

    def blocks(self) -> Iterator[NDArray[np.void]]:
        """Yield all rows in their order, some at a time."""
        for start in range(0, self._count, BLOCK):
            yield self.rows.read(start, min(BLOCK, self._count - start))

    def user_ids(self, codes: NDArray[np.integer] | None = None) -> pl.Series:
        """Return the ids of users, of all if none are named."""
        return _ids(self._users, np.arange(len(self.user_counts)) if codes is None else codes)

    def item_ids(self, codes: NDArray[np.integer]) -> pl.Series:
        """Return the ids of items."""
        return _ids(self._items, codes)


def _no_ids() -> pl.Series:
    """Return an empty column of a type that numbers ids; polars forgets them when no column of it is left."""
    return pl.Series([], dtype=pl.Categorical(pl.Categories.random()))


def _ids(numbering: pl.Series, codes: NDArray[np.integer]) -> pl.Series:
    return pl.Series(codes, dtype=pl.UInt32).cat.to(numbering.dtype).cast(pl.String)
