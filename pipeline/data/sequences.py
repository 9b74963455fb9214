"""Interactions as one flat array of items, cut by the split. This is the recommender's input."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ..core.errors import DataError

NO_TARGET = -1


@dataclass(frozen=True)
class Sequences:
    """The items of every user in total order, and the split.

    Attributes:
        items: int64 [N], rows of the item table. User `u` has `items[offsets[u]:offsets[u + 1]]`.
        offsets: int64 [U + 1].
        train_length: int64 [U], number of training items, which come first.
        test_length: int64 [U], number of items before the cut of the test: the history of the test target.
        validation: int64 [U], validation target, or `NO_TARGET`.
        test: int64 [U], test target, or `NO_TARGET`.
        repeated: users may have an item twice, so an item of the history may be recommended again. The split says so;
            it is not counted here, where a leak of a target into a history would count.
    """

    items: NDArray[np.int64]
    offsets: NDArray[np.int64]
    train_length: NDArray[np.int64]
    test_length: NDArray[np.int64]
    validation: NDArray[np.int64]
    test: NDArray[np.int64]
    repeated: bool = False

    @classmethod
    def from_tables(cls, interactions: Iterable[pl.DataFrame], split: pl.DataFrame) -> "Sequences":
        """Build from parts of `interactions.parquet` (sorted by user, position) and `split.parquet` (sorted by user).

        Raises:
            DataError: the tables do not have the same users 0, 1, 2, …; or the split does not cut a user's items into
                training items, items with the validation target, and items with the test target, in this order.
        """
        users = split["user"].to_numpy()
        lengths = np.zeros(len(users), np.int64)  # [U]
        parts: list[NDArray[np.int32]] = []
        for part in interactions:
            counts = np.bincount(part["user"].to_numpy(), minlength=len(lengths))
            counts[: len(lengths)] += lengths
            lengths = counts
            parts.append(part["item"].to_numpy())
        if len(lengths) != len(users) or not np.array_equal(users, np.arange(len(users))):
            raise DataError("interactions and split name different users", remedy="run `dvc repro ingest`")
        by_time = "test_length" in split.columns
        if not by_time:  # leave-one-out: the validation target alone lies between the cuts
            held_out = pl.col("validation").is_not_null()
            split = split.with_columns(test_length=pl.col("train_length") + held_out.cast(pl.Int32))
        names = ("train_length", "test_length", "validation", "test")
        columns = (split[name].fill_null(NO_TARGET) for name in names)
        items = np.concatenate(parts, dtype=np.int64)
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        arrays = (column.to_numpy().astype(np.int64) for column in columns)
        sequences = cls(items, offsets, *arrays, repeated="repeated" in split.columns)
        if not by_time:
            paired = (sequences.validation == NO_TARGET) == (sequences.test == NO_TARGET)
            _check(paired, "test", "is there without the other target")
        sequences._check_split()
        return sequences

    def _check_split(self) -> None:
        lengths, test_length = np.diff(self.offsets), self.test_length  # [U]
        fits = (self.train_length >= 0) & (test_length >= self.train_length) & (test_length <= lengths)  # [U]
        _check(fits, "train_length", "reaches beyond the user's items")
        parts = (("validation", self.train_length, test_length), ("test", test_length, lengths))
        for name, first, stop in parts:
            targets, follows = getattr(self, name), np.ones(self.user_count, np.bool_)
            for user in np.flatnonzero(targets != NO_TARGET):
                start = self.offsets[user]
                follows[user] = targets[user] in self.items[start + first[user] : start + stop[user]]
            _check(follows, name, "is not the item that follows")

    @property
    def user_count(self) -> int:
        """Number of users."""
        return len(self.train_length)

    def before_test(self) -> "Sequences":
        """Return the same users with every item before the cut of the test as a training item; nothing is validated."""
        nothing = np.full_like(self.validation, NO_TARGET)
        return replace(self, train_length=self.test_length, validation=nothing)

    def whole(self) -> "Sequences":
        """Return the same users with every item as a training item, and no targets."""
        lengths, nothing = np.diff(self.offsets), np.full_like(self.test, NO_TARGET)
        return replace(self, train_length=lengths, test_length=lengths, validation=nothing, test=nothing)

    def training_items(self, user: int | np.integer) -> NDArray[np.int64]:
        """Return the training items of a user, int64 [train_length], oldest first."""
        start = self.offsets[user]
        return self.items[start : start + self.train_length[user]]

    def training_counts(self, item_count: int) -> NDArray[np.int64]:
        """Return how often each item is a training item, int64 [item_count]."""
        return np.bincount(np.concatenate(self.validation_histories()), minlength=item_count)

    def validation_histories(self) -> list[NDArray[np.int64]]:
        """Return each user's history before the validation target: the training items."""
        return [self.training_items(user) for user in range(self.user_count)]

    def test_histories(self) -> list[NDArray[np.int64]]:
        """Return each user's history before the test target: all items before the cut of the test."""
        ends = self.offsets[:-1] + self.test_length  # [U]
        return [self.items[start:end] for start, end in zip(self.offsets[:-1], ends, strict=True)]


def halves(count: int, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return two random halves of the numbers 0 to `count` - 1, each sorted.

    They divide the users who have a validation target. The fusion of variant rag learns from the first half; both
    variants are validated on the second.
    """
    order = np.random.default_rng([seed, count]).permutation(count)
    return np.sort(order[: count // 2]), np.sort(order[count // 2 :])


def pad_histories(
    histories: list[NDArray[np.int64]], limit: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Keep the latest `limit` items of each history and pad on the right.

    Padding is row 0. Its value never matters: a causal model reads nothing after the end of a history.

    Returns:
        rows int64 [B, T] with T the longest kept length (at least 1), and lengths int64 [B].
    """
    kept = [history[-limit:] for history in histories]
    lengths = np.array([len(history) for history in kept], np.int64)
    rows = np.zeros((len(kept), max(1, int(lengths.max(initial=0)))), np.int64)
    for row, history in zip(rows, kept, strict=True):
        row[: len(history)] = history
    return rows, lengths


def _check(holds: NDArray[np.bool_], column: str, problem: str) -> None:
    if not holds.all():
        user = int(np.argmin(holds))
        raise DataError(problem, f"split, column {column}, user {user}", "run `dvc repro ingest`")
