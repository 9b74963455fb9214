"""From a raw data set to the tables that later stages read: row numbers, total order, leave-one-out split."""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import polars as pl

from ..errors import DataError
from ..files import atomic_path, sha256_file, write_json
from .raw import RawDataset
from .tables import write_table

SCHEMA_VERSION = 1

_HELD_OUT = 2
"""Interactions of a user that are held out: the validation and the test target."""


@dataclass(frozen=True)
class Dataset:
    """The tables of a data set.

    Attributes:
        name: `movielens`, `files` or `sample`.
        md5: checksum of the archive; None where there is none.
        items: row, item_id, title, year, genres, further texts, candidate; row i describes item i, in natural order
            of ids.
        users: user, user_id; in natural order of ids.
        interactions: user, item, position; sorted by (user, position). Position counts from 0 within a user
            in the total order (timestamp, row in file).
        split: user, train_length, validation, test; the leading `train_length` positions are for training,
            the two targets are item rows, both null for users with fewer than 3 interactions.
        ratings: user, position, rating, timestamp. Kept apart, because no later stage may depend on them.
        checksums: MD5 of other files that were read, by the param that names them.
    """

    name: str
    md5: str | None
    items: pl.DataFrame
    users: pl.DataFrame
    interactions: pl.DataFrame
    split: pl.DataFrame
    ratings: pl.DataFrame
    checksums: Mapping[str, str] = field(default_factory=dict)

    @property
    def counts(self) -> dict[str, int]:
        """Numbers of users, listed items, candidates for ranking, and interactions."""
        return {
            "candidates": int(self.items["candidate"].sum()),
            "interactions": len(self.interactions),
            "items": len(self.items),
            "users": len(self.users),
        }

    def write(self, folder: Path) -> None:
        """Write `*.parquet` and `manifest.json` into ``folder``; equal tables give equal bytes.

        All files are complete before the first takes its place, and the manifest takes it last.
        """
        tables = {
            "items.parquet": self.items,
            "users.parquet": self.users,
            "interactions.parquet": self.interactions,
            "split.parquet": self.split,
            "ratings.parquet": self.ratings,
        }
        with ExitStack() as stack:  # unwinds from the last to the first
            manifest = stack.enter_context(atomic_path(folder / "manifest.json"))
            written = {name: stack.enter_context(atomic_path(folder / name)) for name in tables}
            for name, table in tables.items():
                write_table(table, written[name])
            write_json(
                manifest,
                {
                    "schema_version": SCHEMA_VERSION,
                    "dataset": self.name,
                    "source": {"md5": self.md5, **self.checksums},
                    "counts": self.counts,
                    "sha256": {name: sha256_file(path) for name, path in written.items()},
                },
            )


def build(raw: RawDataset, candidates: Literal["interacted", "all"] = "interacted") -> Dataset:
    """Number items and users, order the interactions, and split them leave-one-out.

    The last interaction of a user in the total order (timestamp, row in file) is the test target, the one
    before it the validation target; a user with fewer than 3 interactions has training interactions only.
    Users are those with an interaction; items are all that are listed.

    Args:
        raw: items and interactions in the order of their source.
        candidates: items that may be ranked: those with an interaction, or all.

    Raises:
        DataError: there is no interaction, an id is listed twice, or an interaction names an item not listed.
    """
    if raw.interactions.is_empty():
        raise DataError("no interactions", raw.name, "use a data set with at least one interaction")
    items = raw.items.select(_natural_order("item_id").alias("row"), pl.all()).sort("row")
    if items["item_id"].is_duplicated().any():
        twice = items.filter(pl.col("item_id").is_duplicated())["item_id"][0]
        raise DataError(f"item {twice!r} is listed twice", raw.name, "give every item an id of its own")
    unlisted = raw.interactions.join(items, on="item_id", how="anti")["item_id"]
    if not unlisted.is_empty():
        raise DataError(
            f"an interaction names item {unlisted[0]!r}, which is not listed", raw.name, "list it"
        )
    users = raw.interactions.select(pl.col("user_id").unique())
    users = users.select(_natural_order("user_id").alias("user"), pl.all()).sort("user")

    events = (
        raw.interactions.with_row_index("line")
        .join(users, on="user_id", how="left")
        .join(items.select("item_id", item="row"), on="item_id", how="left")
        .select("user", "item", "rating", "timestamp", "line")
        .sort("user", "timestamp", "line")
        .with_columns(position=pl.int_range(pl.len(), dtype=pl.Int32).over("user"))
    )
    interacted = pl.col("row").is_in(events["item"].unique().implode())
    return Dataset(
        raw.name,
        raw.md5,
        items.with_columns(candidate=interacted if candidates == "interacted" else pl.lit(True)),
        users,
        events.select("user", "item", "position"),
        leave_one_out(events),
        events.select("user", "position", "rating", "timestamp"),
        raw.checksums,
    )


def refuse_unlearnable(dataset: Dataset) -> None:
    """Refuse a data set from which nothing can be learned, or on which nothing can be measured.

    Raises:
        DataError: no user has targets (3 interactions), or no user has 2 training interactions.
    """
    remedy = "use a data set with longer histories"
    if not dataset.split["test"].count():
        what = f"no user has {_HELD_OUT + 1} interactions, so there is no target to validate and test on"
        raise DataError(what, dataset.name, remedy)
    if dataset.split["train_length"].max() == 1:
        what = (
            "every user has one training interaction (all but the last two), so no next item can be learned"
        )
        raise DataError(what, dataset.name, remedy)


def leave_one_out(interactions: pl.DataFrame) -> pl.DataFrame:
    """Split interactions that are sorted by (user, position): last for test, the one before for validation.

    Returns:
        One row per user: user int32, train_length int32, validation and test int32 or null.
    """
    enough = pl.len() > _HELD_OUT
    return interactions.group_by("user", maintain_order=True).agg(
        train_length=(pl.len() - pl.when(enough).then(_HELD_OUT).otherwise(0)).cast(pl.Int32),
        validation=pl.when(enough).then(pl.col("item").slice(pl.len() - 2, 1).first()),
        test=pl.when(enough).then(pl.col("item").last()),
    )


def _natural_order(ids: str) -> pl.Expr:
    """Rank of each id from 0: by number where all are whole numbers, else by text."""
    number = pl.col(ids).cast(pl.UInt64, strict=False)
    key = pl.when(number.null_count() == 0).then(number)
    return pl.struct(number=key, text=ids).rank("ordinal").cast(pl.Int32) - 1
