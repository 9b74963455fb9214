"""Interactions as one flat array, each user's items in total order: what the recommender reads."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ..core.errors import DataError

NO_TARGET = -1


@dataclass(frozen=True)
class Sequences:
    """Every user's items in total order, and where the leave-one-out split cuts them.

    Attributes:
        items: int64 [N], rows of the item table; user `u` owns `items[offsets[u]:offsets[u + 1]]`.
        offsets: int64 [U + 1].
        train_length: int64 [U], leading items of each user that are training.
        validation: int64 [U], validation target, or `NO_TARGET`.
        test: int64 [U], test target, or `NO_TARGET`.
    """

    items: NDArray[np.int64]
    offsets: NDArray[np.int64]
    train_length: NDArray[np.int64]
    validation: NDArray[np.int64]
    test: NDArray[np.int64]

    @classmethod
    def from_tables(cls, interactions: Iterable[pl.DataFrame], split: pl.DataFrame) -> "Sequences":
        """Build from `interactions.parquet` (sorted by user, position) and `split.parquet` (sorted by user).

        Args:
            interactions: in parts, of which memory holds one at a time, and of all the items.
            split: whole.

        Raises:
            DataError: the two tables do not name the same users 0, 1, 2, …, or the split does not cut a user's
                items into training items, validation target and test target, in this order.
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
        sequences = cls(
            items=np.concatenate(parts, dtype=np.int64),
            offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
            train_length=split["train_length"].to_numpy().astype(np.int64),
            validation=split["validation"].fill_null(NO_TARGET).to_numpy().astype(np.int64),
            test=split["test"].fill_null(NO_TARGET).to_numpy().astype(np.int64),
        )
        sequences._check_split()
        return sequences

    def _check_split(self) -> None:
        held_out = self.validation != NO_TARGET  # [U]
        lengths = np.diff(self.offsets)  # [U]
        fits = (self.train_length >= 0) & (self.train_length + 2 * held_out <= lengths)  # [U]
        _all_hold(fits, "train_length", "reaches beyond the user's items")
        after_training = (self.offsets[:-1] + self.train_length)[held_out]  # [U'], place in items
        for place, name in enumerate(("validation", "test")):
            expected = np.full(self.user_count, NO_TARGET)
            expected[held_out] = self.items[after_training + place]
            _all_hold(getattr(self, name) == expected, name, "is not the item that follows")

    @property
    def user_count(self) -> int:
        """Number of users."""
        return len(self.train_length)

    def training_items(self, user: int | np.integer) -> NDArray[np.int64]:
        """Return the training part of a user's items, int64 [train_length], oldest first."""
        start = self.offsets[user]
        return self.items[start : start + self.train_length[user]]

    def training_counts(self, item_count: int) -> NDArray[np.int64]:
        """Return how often each item occurs in the training parts, int64 [item_count]."""
        counts = np.zeros(item_count, np.int64)
        for user in range(self.user_count):
            np.add.at(counts, self.training_items(user), 1)
        return counts

    def validation_histories(self) -> list[NDArray[np.int64]]:
        """Return each user's history before the validation target: the training items."""
        return [self.training_items(user) for user in range(self.user_count)]

    def test_histories(self) -> list[NDArray[np.int64]]:
        """Return each user's history before the test target: training items and the validation item."""
        return [
            np.append(self.training_items(user), self.validation[user])
            if self.validation[user] != NO_TARGET
            else self.training_items(user)
            for user in range(self.user_count)
        ]


def halves(count: int, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return two halves of the numbers 0 to `count` - 1, drawn at random, each rising.

    Of the users who have a validation target, the fusion of the rag variant learns from the first half; the metrics on
    validation of both variants are those of the second.
    """
    order = np.random.default_rng([seed, count]).permutation(count)
    return np.sort(order[: count // 2]), np.sort(order[count // 2 :])


def _all_hold(holds: NDArray[np.bool_], column: str, problem: str) -> None:
    if not holds.all():
        user = int(np.argmin(holds))
        raise DataError(problem, f"split, column {column}, user {user}", "run `dvc repro ingest`")


def pad_histories(
    histories: list[NDArray[np.int64]], limit: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Keep the latest `limit` items of each history and pad on the right.

    Padding is row 0: nothing causal reads behind a history's end, so its value never matters.

    Returns:
        rows int64 [B, T] with T the longest kept length (at least 1), and lengths int64 [B].
    """
    kept = [history[-limit:] for history in histories]
    lengths = np.array([len(history) for history in kept], np.int64)
    rows = np.zeros((len(kept), max(1, int(lengths.max(initial=0)))), np.int64)
    for row, history in zip(rows, kept, strict=True):
        row[: len(history)] = history
    return rows, lengths
