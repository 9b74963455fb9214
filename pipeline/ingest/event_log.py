"""The result of a reader: items, and interactions as rows of numbers in a file. Memory holds ids, but no rows."""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ..core.errors import MachineError
from ..core.files import cache_dir
from .checks import Checks

ITEMS = pl.Schema({"item_id": pl.String, "title": pl.String, "year": pl.Int32, "genres": pl.List(pl.String)})
INTERACTIONS = pl.Schema({"user_id": pl.String, "item_id": pl.String, "rating": pl.Int8, "timestamp": pl.Int64})

BLOCK = 2**20  # rows in memory at a time

_IN_MEMORY = 2**26  # bytes of a file that stay in memory; a longer one goes to the disk


class RowFile:
    """Rows of numbers in a temporary file without a name. The system removes the file with the process.

    A row has a user, an item, its line, a timestamp (`i8` or `f8`), and maybe a rating (`f8`; NaN stands for none).
    Reading and writing raise ``MachineError`` if the disk is full or fails.
    """

    def __init__(self, dtype: np.dtype) -> None:
        self.dtype, self.rated = dtype, "rating" in (dtype.names or ())
        self._folder = cache_dir("ingest")
        self._file = tempfile.SpooledTemporaryFile(_IN_MEMORY, dir=str(self._folder))  # noqa: SIM115 - lives as long as self

    def write(self, start: int, rows: NDArray[np.void]) -> None:
        """Write rows from row `start` on."""
        with self._at(start) as file:
            file.write(rows.tobytes())

    def read(self, start: int, count: int) -> NDArray[np.void]:
        """Return `count` rows from row `start` on."""
        with self._at(start) as file:
            return np.frombuffer(file.read(count * self.dtype.itemsize), self.dtype)

    @contextmanager
    def _at(self, start: int) -> Iterator[tempfile.SpooledTemporaryFile]:
        try:
            self._file.seek(start * self.dtype.itemsize)
            yield self._file
        except OSError as error:
            what = f"rows of interactions cannot be written ({error.strerror})"
            remedy = "free space on that disk, or set the environment variable HIERREC_CACHE to a folder of another one"
            raise MachineError(what, str(self._folder), remedy) from None


class EventLog:
    """Interactions that are appended a block at a time and can be read several times.

    Users are numbered from 0 in order of appearance. Items are numbered likewise, after the listed items.

    Args:
        listed: ids of the listed items, text, each once: item i is the i-th.
        checks: the checks of the rows; they know the rows' files. None: the rows are from a table in memory.
    """

    rows: RowFile  # from the first `append` on

    def __init__(self, listed: pl.Series, checks: Checks | None = None) -> None:
        self.listed, self.checks = listed, checks or Checks("the interactions")
        self._users, self._items = _Ids(), _Ids()
        self._items.numbers(listed)
        self._count = 0
        self.user_counts = np.zeros(0, np.int64)  # [users], interactions of each user
        self.item_seen = np.zeros(len(listed), np.bool_)  # [items], whether an interaction names the item
        self.whole_ratings = True  # whether all ratings are whole numbers of at most two digits

    @classmethod
    def of(cls, interactions: pl.DataFrame, listed: pl.Series) -> "EventLog":
        """Return the log of a table with the columns of `INTERACTIONS`."""
        log = cls(listed)
        for block in interactions.iter_slices(BLOCK):
            log.append(block["user_id"], block["item_id"], block["timestamp"], block["rating"])
        return log

    def __len__(self) -> int:
        return self._count

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
            users, items: ids, text.
            timestamps: int64 or float64, the same type in all blocks.
            ratings: numbers, null for a missing one; None: no block has ratings.
            lines: the rows' numbers in `checks`; None: they follow the rows before.
        """
        times = timestamps.to_numpy()
        if not self._count:
            fields = [("user", "u4"), ("item", "u4"), ("line", "i8"), ("timestamp", times.dtype)]
            self.rows = RowFile(np.dtype(fields if ratings is None else [*fields, ("rating", "f8")]))
        rows = np.empty(len(users), self.rows.dtype)
        rows["user"], rows["item"] = self._users.numbers(users), self._items.numbers(items)
        rows["line"] = np.arange(self._count, self._count + len(rows)) if lines is None else lines
        rows["timestamp"] = times
        if ratings is not None:
            rows["rating"] = numbers = ratings.cast(pl.Float64).fill_null(np.nan).to_numpy()
            whole = np.isnan(numbers) | ((numbers == np.rint(numbers)) & (np.abs(numbers) < 100))
            self.whole_ratings &= bool(whole.all())
        self.rows.write(self._count, rows)
        self._count += len(rows)
        counts = np.bincount(rows["user"], minlength=len(self.user_counts))
        counts[: len(self.user_counts)] += self.user_counts
        self.user_counts = counts
        further = max(0, int(rows["item"].max(initial=0)) + 1 - len(self.item_seen))
        self.item_seen = np.pad(self.item_seen, (0, further))
        self.item_seen[rows["item"]] = True

    def blocks(self) -> Iterator[NDArray[np.void]]:
        """Yield all rows in their order, some at a time."""
        for start in range(0, self._count, BLOCK):
            yield self.rows.read(start, min(BLOCK, self._count - start))

    def user_ids(self, codes: NDArray[np.integer] | None = None) -> pl.Series:
        """Return the ids of users; None: of all."""
        return self._users.ids(np.arange(len(self.user_counts)) if codes is None else codes)

    def item_ids(self, codes: NDArray[np.integer]) -> pl.Series:
        """Return the ids of items."""
        return self._items.ids(codes)


class _Ids:
    """Numbers of ids: from 0, in the order in which they come."""

    def __init__(self) -> None:
        # Polars forgets the ids of a category when no column of its type is left.
        self._empty = pl.Series([], dtype=pl.Categorical(pl.Categories.random()))

    def numbers(self, ids: pl.Series) -> NDArray[np.uint32]:
        return ids.cast(self._empty.dtype).to_physical().to_numpy()

    def ids(self, numbers: NDArray[np.integer]) -> pl.Series:
        return pl.Series(numbers, dtype=pl.UInt32).cat.to(self._empty.dtype).cast(pl.String)


@dataclass(frozen=True)
class RawDataset:
    """A data set in the order of its source, before rows are numbered."""

    name: str  # movielens, files or sample
    md5: str | None  # checksum of the archive; None: there is no archive
    items: pl.DataFrame
    """One row per listed item, with the columns of `ITEMS`, and further texts or lists of texts; null if unknown."""
    interactions: EventLog
    """In file order. A timestamp is int64 seconds since 1970 (UTC); from `files`, a number of any unit."""
    checksums: Mapping[str, str] = field(default_factory=dict)  # MD5 of other files, by the param that names them
    notes: tuple[str, ...] = ()  # lines for the summary, e.g. which column was taken for which role
    removed: Mapping[str, int] = field(default_factory=dict)  # removed rows, by the param that removed them
