"""Interactions as one flat array of items, cut by the split. This is the recommender's input."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from .errors import DataError

NO_TARGET = -1
UNKNOWN_GAP, GAP_BUCKETS = 0, 66
"""The bucket of an unknown gap, and the number of buckets: 0 unknown, 1 a gap of zero, then one per power of two."""
HALVES_SEED = 1  # seed of the two halves of the users


@dataclass(frozen=True)
class Sequences:
    """The items of every user in total order, and the split."""

    items: NDArray[np.int64]  # [N], rows of the item table; user u has items[offsets[u]:offsets[u + 1]]
    offsets: NDArray[np.int64]  # [U + 1]
    train_length: NDArray[np.int64]  # [U], number of training items, which come first
    test_length: NDArray[np.int64]  # [U], number of items before the cut of the test: the test target's history
    validation: NDArray[np.int64]  # [R], validation target, or NO_TARGET; row r belongs to user owners[r]
    test: NDArray[np.int64]  # [R], test target, or NO_TARGET
    repeated: bool = False
    """Whether users may take an item twice; then items of the history may be recommended again. Read from the split:
    detecting repeats here would mistake a leaked target for a repeat."""
    gaps: NDArray[np.int8] = field(default_factory=lambda: np.empty(0, np.int8))
    """[N], bucket of the time between each item and the user's item before it; empty where not read."""
    session_starts: NDArray[np.bool_] = field(default_factory=lambda: np.empty(0, np.bool_))
    """[N], whether an item starts a session; false for a user's first item. Empty without sessions."""
    clock: NDArray[np.int32] = field(default_factory=lambda: np.empty(0, np.int32))
    """[N], number of all users' interactions at an earlier time. Empty if not read; all 0 if users' timestamps are not
    comparable."""
    one_cut: bool = False  # all targets come after all users' training items: split by time, or without targets
    target_rows: NDArray[np.int64] = field(default_factory=lambda: np.empty((0, 3), np.int64))
    """[R, 3]: the user of each row, and the lengths of the histories before its validation and its test target.
    Empty if every user has exactly one row: row u is user u."""

    @classmethod
    def from_tables(cls, interactions: Iterable[pl.DataFrame], split: pl.DataFrame) -> "Sequences":
        """Build from parts of `interactions.parquet` (sorted by user, position) and `split.parquet` (sorted by user).

        Raises ``DataError`` if the tables do not have the same users 0, 1, 2, …; or if the split does not cut a user's
        items into training items, items with the validation target, and items with the test target, in this order.
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
            raise DataError("interactions and split have different users", remedy="run `dvc repro`")
        by_time = "test_length" in split.columns
        if not by_time:  # leave-one-out: the validation target alone lies between the cuts
            held_out = pl.col("validation").is_not_null()
            split = split.with_columns(test_length=pl.col("train_length") + held_out.cast(pl.Int32))
        names = ("train_length", "test_length", "validation", "test")
        arrays = (split[name].fill_null(NO_TARGET).to_numpy().astype(np.int64) for name in names)
        items, offsets = np.concatenate(parts, dtype=np.int64), np.append(0, np.cumsum(lengths))
        one_cut = by_time or not (split["validation"].count() or split["test"].count())
        sequences = cls(items, offsets, *arrays, repeated="repeated" in split.columns, one_cut=one_cut)
        if not by_time:
            paired = (sequences.validation == NO_TARGET) == (sequences.test == NO_TARGET)
            _check(paired, "test", "is there, but the other target is missing")
        sequences._check_split()
        if "session_starts" in split.columns:
            sequences = sequences._with_sessions(split)
        return sequences._with_all_targets(split) if "test_positions" in split.columns else sequences

    def _with_all_targets(self, split: pl.DataFrame) -> "Sequences":
        """Return the sequences with a row for each target position in the split, and at least one for each user."""
        names = ("validation_positions", "test_positions")
        rows = pl.int_ranges(0, pl.max_horizontal(1, *(pl.col(name).list.len() for name in names)))
        lists = [pl.col(name).list.gather(rows, null_on_oob=True) for name in names]
        table = split.select("user", *lists).explode(*names).fill_null(NO_TARGET)
        user, *positions = table.to_numpy().astype(np.int64).T  # [R] each
        bounds = (self.train_length, self.test_length, np.diff(self.offsets))  # [U] each
        targets = []
        for name, position, low, high in zip(names, positions, bounds[:-1], bounds[1:], strict=True):
            there = position != NO_TARGET  # [R]
            inside = ~there | ((position >= low[user]) & (position < high[user]))
            _check(inside, name, "is not after its cut", user)
            targets.append(np.where(there, self.items[self.offsets[user] + position * there], NO_TARGET))
        rows = np.stack([user, *(position.clip(min=0) for position in positions)], 1)  # [R, 3]
        return replace(self, validation=targets[0], test=targets[1], target_rows=rows)

    def _with_sessions(self, split: pl.DataFrame) -> "Sequences":
        starts = split.select("user", "session_starts").explode("session_starts").drop_nulls()
        owners, positions = starts.to_numpy().T  # [S] each
        inside = (positions >= 0) & (positions < np.diff(self.offsets)[owners])  # [S]
        _check(inside, "session_starts", "is not a position of the user's items", owners)
        flags = np.zeros(len(self.items), np.bool_)
        flags[self.offsets[owners] + positions] = True
        return replace(self, session_starts=flags)

    def _check_split(self) -> None:
        lengths, test_length = np.diff(self.offsets), self.test_length  # [U]
        fits = (self.train_length >= 0) & (test_length >= self.train_length) & (test_length <= lengths)  # [U]
        _check(fits, "train_length", "is greater than the number of the user's items")
        for name, first, stop in (("validation", self.train_length, test_length), ("test", test_length, lengths)):
            targets, follows = getattr(self, name), np.ones(self.user_count, np.bool_)
            for user in np.flatnonzero(targets != NO_TARGET):
                start = self.offsets[user]
                follows[user] = targets[user] in self.items[start + first[user] : start + stop[user]]
            _check(follows, name, "is not an item after the cut")

    def with_times(self, name: Literal["gaps", "clock"], times: NDArray) -> "Sequences":
        """Return the sequences with gaps or clocks; raise ``DataError`` if there is not one for each item."""
        if len(times) != len(self.items):
            raise DataError(f"the numbers of {name} and interactions differ", remedy="run `dvc repro`")
        return replace(self, **{name: times})

    def gaps_of(self, history: NDArray[np.int64], user: int | np.integer) -> NDArray[np.int64]:
        """Return the bucket of the gap before each item of a history, int64 [T].

        Gaps are known if the history is the beginning of the user's items: then no gap belongs to a target or a later
        item. All are `UNKNOWN_GAP` for another history, and for an unknown user (-1).
        """
        part = slice(self.offsets[user], self.offsets[user] + len(history))
        if user < 0 or not np.array_equal(self.items[part], history):
            return np.full(len(history), UNKNOWN_GAP, np.int64)
        return self.gaps[part].astype(np.int64)

    @property
    def owners(self) -> NDArray[np.int64]:
        """The user of each row of targets, int64 [R]."""
        return self.target_rows[:, 0] if len(self.target_rows) else np.arange(self.user_count)

    @property
    def has_clock(self) -> bool:
        """Whether the order of all items in time is known."""
        return bool(self.clock.any())

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
        cuts = {"train_length": lengths, "test_length": lengths, "one_cut": True}
        return replace(self, validation=nothing, test=nothing, **cuts)

    def with_targets_of(self, most: int | None, seed: int) -> "Sequences":
        """Return the same users with the validation targets and the test targets of at most `most` users each.

        The users are drawn at random; None: all users keep theirs.
        """
        place = np.random.default_rng([seed, 1]).permutation(self.user_count)  # [U]

        def drawn(targets: NDArray[np.int64]) -> NDArray[np.int64]:
            having = np.unique(self.owners[targets != NO_TARGET])
            some = having[np.argsort(place[having])][:most]
            return np.where(np.isin(self.owners, some), targets, NO_TARGET)  # [R]

        return replace(self, validation=drawn(self.validation), test=drawn(self.test))

    def training_items(self, user: int | np.integer) -> NDArray[np.int64]:
        """Return the training items of a user, int64 [train_length], oldest first."""
        return self.items[self.offsets[user] :][: self.train_length[user]]

    def training(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return all training items, user by user, and the user of each, int64 [N] twice."""
        kept = self.in_training()
        return self.items[kept], self._users()[kept]

    def in_training(self) -> NDArray[np.bool_]:
        """Return which items are training items, bool [N]."""
        return np.arange(len(self.items)) < (self.offsets[:-1] + self.train_length)[self._users()]

    def _users(self) -> NDArray[np.int64]:
        return np.repeat(np.arange(self.user_count), np.diff(self.offsets))  # [N]

    def training_counts(self, item_count: int) -> NDArray[np.int64]:
        """Return how often each item is a training item, int64 [item_count]."""
        return np.bincount(self.training()[0], minlength=item_count)

    def training_histories(self) -> list[NDArray[np.int64]]:
        """Return each user's training items, U of them."""
        return [self.training_items(user) for user in range(self.user_count)]

    def validation_histories(self) -> list[NDArray[np.int64]]:
        """Return R histories: the training items of a user, or, with several targets, all items before the target."""
        return self._first(self.target_rows[:, 1] if len(self.target_rows) else self.train_length)

    def test_histories(self) -> list[NDArray[np.int64]]:
        """Return R histories: the items before the cut of the test, or, with several targets, before the target."""
        return self._first(self.target_rows[:, 2] if len(self.target_rows) else self.test_length)

    def _first(self, counts: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        starts = self.offsets[self.owners]  # [R]
        return [self.items[start:end] for start, end in zip(starts, starts + counts, strict=True)]


def split_users(users: NDArray[np.int64], most: int | None = None) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Split the distinct users at random into two halves; return the sorted indices into `users` of each, int64.

    All indices of a user are in one half. The fusion learns from the validation targets of the first half; both
    variants are validated on the second. At most `most` users are drawn from each half; None: all. No param changes the
    halves, so the validations of all runs on one data set, and those of the baselines, are of the same users.
    """
    names, number = np.unique(users, return_inverse=True)
    order = np.random.default_rng([HALVES_SEED, len(names)]).permutation(len(names))
    middle = len(names) // 2
    first, second = (np.isin(number, half[:most]) for half in (order[:middle], order[middle:]))
    return np.flatnonzero(first), np.flatnonzero(second)


def gap_buckets(positions: NDArray[np.integer], times: NDArray, before: float = 0) -> NDArray[np.int8]:
    """Return the bucket of the time between each interaction and the user's one before it, int8 [N].

    `UNKNOWN_GAP` for a user's first; 1 for a tie; 2 for a gap below 2 units of the timestamps, 3 below 4, 4 below 8, …
    `positions`, int [N], count within each user from 0; `times`, [N], ascend within a user; `before` is the time of the
    interaction before these.
    """
    gaps = np.diff(times, prepend=times.dtype.type(before))  # [N]
    exponents = np.frexp(gaps.astype(np.float64))[1].clip(1, GAP_BUCKETS - 2)  # [N], of the next power of two
    buckets = np.where(gaps > 0, 1 + exponents, 1)
    buckets[positions == 0] = UNKNOWN_GAP
    return buckets.astype(np.int8)


def pad_histories(
    histories: Sequence[NDArray[np.integer | np.bool_]], limit: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Keep the latest `limit` values of each history and pad on the right.

    Padding is row 0. Its value never matters: a causal model reads nothing after the end of a history. Returns rows,
    int64 [B, T] with T the longest kept length (at least 1), and lengths, int64 [B].
    """
    kept = [history[-limit:] for history in histories]
    lengths = np.array([len(history) for history in kept], np.int64)
    rows = np.zeros((len(kept), max(1, int(lengths.max(initial=0)))), np.int64)
    for row, history in zip(rows, kept, strict=True):
        row[: len(history)] = history
    return rows, lengths


def _check(holds: NDArray[np.bool_], column: str, problem: str, users: NDArray[np.int64] | None = None) -> None:
    if not holds.all():
        row = int(np.argmin(holds))
        user = row if users is None else int(users[row])
        raise DataError(problem, f"split, column {column}, user {user}", "run `dvc repro`")
