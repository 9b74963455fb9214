"""From a raw data set to the tables that later stages read: row numbers, total order, split."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ..core.errors import DataError
from ..core.files import atomic_path, check_file, read_json, sha256_file, write_json
from ..core.sequences import gap_buckets
from ..core.tables import (
    CANDIDATE_COLUMNS,
    REMEDY,
    load_interactions,
    load_items,
    load_split,
    load_users,
    row_groups,
    write_parts,
)
from .event_log import RawDataset
from .event_order import OrderedEvents, Repeats
from .time_split import TimeSplit, split_by_time

_NAMES = ("items", "users", "interactions", "split", "ratings", "times/gaps", "times/none", "times/clock")
TABLES = tuple(f"{name}.parquet" for name in _NAMES)
"""All tables. A sequence model depends on the table in `times/` that `train.time` names: `gaps`, or `none`, which is
empty. Source `trending` of variant `rag` depends on `times/clock`."""
HELD_OUT = 2  # interactions of a user that are held out: the validation and the test target
_INTERACTIONS = ("user", "item", "position")
_RATINGS = ("user", "position", "rating", "timestamp")


@dataclass(frozen=True)
class Dataset:
    """The tables of a data set."""

    name: str  # movielens, files or sample
    md5: str | None  # checksum of the archive; None where there is none
    items: pl.DataFrame
    """row, item_id, title, year, genres, further texts, candidate; row i describes item i, in natural order of ids."""
    users: pl.DataFrame  # user, user_id; in natural order of ids
    events: Iterable[pl.DataFrame]
    """user, item, position, rating, timestamp; sorted by (user, position), in tables of some users each, so that memory
    need not hold all. Position counts from 0 within a user in the total order (timestamp, row in file)."""
    split: pl.DataFrame  # see `load_split`; targets are item rows, or null
    checksums: Mapping[str, str] = field(default_factory=dict)  # MD5 of other files, by the param that names them
    cut: Mapping[str, float] = field(default_factory=dict)  # counts of a split by time (see `split_by_time`)
    removed: Mapping[str, int] = field(default_factory=dict)
    """Interactions that do not count, by the reason: `removed_where`, …, `removed_repeats`."""

    @property
    def interactions(self) -> pl.DataFrame:
        """All of user, item, position, in memory."""
        return pl.concat(table.select(_INTERACTIONS) for table in self.events)

    @property
    def ratings(self) -> pl.DataFrame:
        """All of user, position, rating, timestamp, in memory. A separate table: no later stage may depend on it."""
        return pl.concat(table.select(_RATINGS) for table in self.events)

    @property
    def lengths(self) -> pl.Series:
        """Number of interactions of each user, int64 [U]."""
        if "length" in self.split.columns:
            return self.split["length"].cast(pl.Int64)
        return self.split["train_length"] + HELD_OUT * self.split["test"].is_not_null().cast(pl.Int64)

    @property
    def counts(self) -> dict[str, int]:
        """Numbers of users, listed items, candidates for ranking, and interactions."""
        return {
            "candidates": int(self.items["candidate"].sum()),
            "items": len(self.items),
            "interactions": int(self.lengths.sum()),
            "users": len(self.split),
        }

    @property
    def more_counts(self) -> dict[str, Any]:
        """Counts of removed interactions, of a split by time, and of users with repeats, where there are any."""
        counts: dict[str, Any] = dict(self.removed)
        if self.cut:
            counts["cut"] = dict(self.cut)
        if "repeated" in self.split.columns:
            counts["users_with_repeats"] = int(self.split["repeated"].sum())
        return counts

    @property
    def left_out(self) -> list[str]:
        """Lines that say how many interactions do not count, and which param leaves them out."""
        removed = self.removed.items()
        return [f"{count:,} rows left out by ingest.{name.removeprefix('removed_')}" for name, count in removed]

    @classmethod
    def read(cls, folder: Path, removed: Mapping[str, int], cut: Mapping[str, float]) -> "Dataset":
        """Read the tables that `write` wrote into memory; no table holds `removed` and `cut`.

        Raises ``DataError`` if a file is missing, damaged, or not the one that was written with the manifest.
        """
        path = folder / "manifest.json"
        manifest = read_json(path)
        written = manifest.get("sha256") if isinstance(manifest, dict) else None
        if not isinstance(written, dict) or not set(TABLES[:5]) <= set(written):
            raise DataError("is not a manifest of tables", str(path), REMEDY)
        for name in set(TABLES) & set(written):  # an earlier version has written no times
            check_file(folder / name, written[name], path.name)
        events = pl.concat(row_groups(folder / "ratings.parquet")).select("rating", "timestamp")
        events = pl.concat([load_interactions(folder / "interactions.parquet"), events], how="horizontal")
        items, users = load_items(folder / "items.parquet"), load_users(folder / "users.parquet")
        split = load_split(folder / "split.parquet")
        return cls(str(manifest.get("dataset")), None, items, users, [events], split, {}, cut, removed)

    def write(self, folder: Path) -> None:
        """Write `*.parquet` and `manifest.json` into ``folder``; equal tables give equal bytes.

        All files are complete before the first is renamed to its place; the manifest is renamed last.
        """
        interactions = (table.select(_INTERACTIONS) for table in self.events)
        ratings = (table.select(_RATINGS) for table in self.events)
        none = pl.DataFrame(schema={"gap": pl.Int8})
        times = (_gaps(self.events), [none], _clock(self.events))
        lists = ([self.items], [self.users], interactions, [self.split], ratings, *times)
        with ExitStack() as stack:  # unwinds from the last to the first
            manifest = stack.enter_context(atomic_path(folder / "manifest.json"))
            written = {name: stack.enter_context(atomic_path(folder / name)) for name in TABLES}
            for parts, path in zip(lists, written.values(), strict=True):
                write_parts(parts, path)
            content = {
                "schema_version": 1,
                "dataset": self.name,
                "source": {"md5": self.md5, **self.checksums},
                "counts": self.counts,
                "sha256": {name: sha256_file(path) for name, path in written.items()},
            }
            write_json(manifest, content)


def _gaps(events: Iterable[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    before = 0
    for table in events:
        times = table["timestamp"].to_numpy()
        yield pl.DataFrame({"gap": gap_buckets(table["position"].to_numpy(), times, before)})
        before = times[-1]


def _clock(events: Iterable[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    """Yield the number of earlier interactions of all users; 0 if timestamps of different users are not comparable.

    They are not comparable if most users begin at the same time (each user's interactions are numbered), or if no two
    users overlap in time (all rows of the file are numbered).
    """
    times = pl.concat(table.select("user", "timestamp") for table in events)
    spans = times.group_by("user").agg(first=pl.min("timestamp"), last=pl.max("timestamp")).sort("first")
    overlap = (spans["first"] <= spans["last"].shift()).any()
    same = spans["first"].value_counts()["count"].max()
    compared = overlap and same <= len(spans) / 2  # type: ignore[operator]
    yield times.select(earlier=(pl.col("timestamp").rank("min") - 1).cast(pl.Int32) * compared)


def build(
    raw: RawDataset,
    candidates: Literal["interacted", "all"] = "interacted",
    repeats: Repeats = "refuse",
    time_split: TimeSplit | None = None,
) -> Dataset:
    """Number items and users, order the interactions, and split them, leave-one-out unless by time.

    Leave-one-out: the last interaction of a user in the total order (timestamp, row in file) is the test target, the
    one before it the validation target; a user with fewer than 3 interactions has training interactions only.
    Users are those with an interaction; items are all that are listed.

    Args:
        raw: the data set: at least one interaction, of listed items; its reader has checked that.
        candidates: items that may be ranked: those with an interaction (by time: before the test), or all.
        repeats: see `OrderedEvents`, which raises ``DataError`` if they are refused.
        time_split: the cuts of a split by time.
    """
    log, ids = raw.interactions, raw.items["item_id"]
    rows, users = numbered(ids), numbered(log.user_ids())
    events = OrderedEvents(log, users, rows, repeats)
    every_item, cut = candidates == "all", {}
    marks = [log.item_seen[np.argsort(rows)] | every_item]  # by row
    if time_split is None:
        split = pl.concat(leave_one_out(table) for table in events)
    else:
        split, marks, cut = split_by_time(events, len(ids), time_split, every_item)
    if events.repeated.any():
        split = split.with_columns(repeated=pl.Series(events.repeated))
    items = raw.items.select(pl.Series("row", rows), pl.all()).sort("row")
    items = items.with_columns(**dict(zip(CANDIDATE_COLUMNS, marks, strict=False)))
    named_users = pl.DataFrame({"user": users, "user_id": log.user_ids()}).sort("user")
    removed = dict(raw.removed) | ({"removed_repeats": events.removed} if events.removed else {})
    return Dataset(raw.name, raw.md5, items, named_users, events, split, raw.checksums, cut, removed)


def refuse_unlearnable(dataset: Dataset) -> None:
    """Raise ``DataError`` if no user has targets (3 interactions) or two training items, or there is one candidate.

    Then nothing can be measured on the data set, or nothing can be learned from it.
    """
    remedy = "use a data set with longer histories"
    for name in ("validation", "test") if dataset.cut else ():
        if not dataset.split[name].count():
            what = f"no user has an interaction before the cut of the {name} and a known item after it"
            raise DataError(what, dataset.name, f"choose another ingest.{name}_from")
    if not dataset.split["test"].count():
        what = f"no user has {HELD_OUT + 1} interactions, so there is no target to validate and test on"
        raise DataError(what, dataset.name, remedy)
    if dataset.split["train_length"].max() == 1:
        what = "every user has one training interaction, so no next item can be learned"
        raise DataError(what, dataset.name, remedy)
    if dataset.counts["candidates"] < 2:
        raise DataError("fewer than 2 items may be ranked, so there is no order to learn", dataset.name, "add items")


def leave_one_out(interactions: pl.DataFrame) -> pl.DataFrame:
    """Split interactions that are sorted by (user, position): last for test, the one before for validation.

    Returns one row per user: user int32, train_length int32, validation and test int32 or null.
    """
    enough = pl.len() > HELD_OUT
    return interactions.group_by("user", maintain_order=True).agg(
        train_length=pl.len().cast(pl.Int32) - HELD_OUT * enough.cast(pl.Int32),
        validation=pl.when(enough).then(pl.col("item").get(-2, null_on_oob=True)),
        test=pl.when(enough).then(pl.col("item").last()),
    )


def numbered(ids: pl.Series) -> NDArray[np.int32]:
    """Number ids from 0 in natural order, int32: ordered as numbers if all ids are whole numbers, else as text."""
    number = pl.col("id").cast(pl.UInt64, strict=False)
    key = pl.when(number.null_count() == 0).then(number)
    rank = pl.struct(number=key, text="id").rank("ordinal").cast(pl.Int32) - 1
    return ids.to_frame("id").select(rank).to_series().to_numpy()
