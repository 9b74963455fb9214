"""A look at a data set before training: how large, how dense, how long, and what will hurt."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ..data.tables import MARKS
from .dataset import HELD_OUT, Dataset
from .time_split import UNITS, unit_of

_SOME = 20
"""Users from which on it is odd that one has a tenth of the rows."""


@dataclass
class _Events:
    """What the interactions say: the earliest and the latest time, and bool [items] with an interaction."""

    first: float
    last: float
    seen: NDArray[np.bool_]
    ties: int = 0
    """Users whose test target has the time of the interaction before it."""
    midnight: dict[int, bool] = field(default_factory=lambda: dict.fromkeys(UNITS, True))
    """Of each unit, whether all times are at midnight if they are in it."""


def look(dataset: Dataset) -> list[str]:
    """Return statistics of a data set and warnings, line by line."""
    targets = pl.when(pl.col("test").is_not_null()).then(HELD_OUT).otherwise(0)
    length = pl.col("length") if "length" in dataset.split.columns else pl.col("train_length") + targets
    lengths = dataset.split.select(length).to_series()
    events, counts = _events(dataset), dataset.counts
    users, items, unit = counts["users"], int(events.seen.sum()), unit_of(events.first, events.last)
    return [
        f"{dataset.name}: {counts['interactions']:,} interactions of {users:,} users",
        f"{counts['items']:,} items listed, {counts['candidates']:,} of them candidates for ranking",
        *(
            f"{count:,} rows left out by ingest.{name.removeprefix('removed_')}"
            for name, count in dataset.removed.items()
        ),
        f"density {counts['interactions'] / (users * items):.3%}: {users:,} users x {items:,} items with interactions",
        f"interactions of a user: {lengths.min():,} to {lengths.max():,}, in the middle {lengths.median():,.0f}",
        _texts(dataset.items),
        *_targets(dataset, events, unit),
        f"times from {_shown(events.first, unit)} to {_shown(events.last, unit)}",
        *_warnings(dataset, events, unit, lengths),
    ]


def _events(dataset: Dataset) -> _Events:
    found = _Events(np.inf, -np.inf, np.zeros(len(dataset.items), np.bool_))
    for table in dataset.events:  # of whole users
        time, user = table["timestamp"].to_numpy(), table["user"].to_numpy()
        found.first, found.last = min(found.first, time.min()), max(found.last, time.max())
        found.seen[table["item"].to_numpy()] = True
        ends = np.append(np.flatnonzero(np.diff(user)), len(user) - 1)  # [users], their last row
        lengths = np.diff(ends, prepend=-1)  # [users]
        targets = ends[lengths > HELD_OUT]
        found.ties += int((time[targets] == time[targets - 1]).sum())
        for unit, midnight in found.midnight.items():
            found.midnight[unit] = midnight and bool((time % (86_400 * unit) == 0).all())
    return found


def _targets(dataset: Dataset, events: _Events, unit: int | None) -> list[str]:
    lines = []
    if "repeated" in dataset.split.columns:
        users = _share(int(dataset.split["repeated"].sum()), len(dataset.split))
        lines.append(f"users with an item twice: {users}; so items of the history may be recommended again")
    if "length" in dataset.split.columns:  # by time
        cut = sorted(dataset.cut.items())
        shown = (f"{name} {_shown(value, unit if name.endswith('_from') else None)}" for name, value in cut)
        lines.append(f"cut: {', '.join(shown)}")
    else:
        ties = _share(events.ties, dataset.split["test"].count())
        lines.append(f"users whose test target a tie in time decides: {ties}")
    return lines


def _texts(items: pl.DataFrame) -> str:
    """Say how many items have text, and how long it is: the characters of all columns but the year."""
    texts = items.drop("row", "item_id", "year", *MARKS, strict=False)
    joined = [text.list.join("") if isinstance(text.dtype, pl.List) else text for text in texts]
    lengths = pl.select(pl.concat_str(joined, ignore_nulls=True).str.len_chars()).to_series()
    found = lengths.filter(lengths > 0)
    length = f", of {found.median():,.0f} characters in the middle" if len(found) else ""
    return f"items with text: {_share(len(found), len(items))}{length}"


def _share(part: int, whole: int) -> str:
    return f"{part:,} of {whole:,} ({part / max(whole, 1):.0%})"


def _shown(number: float, unit: int | None) -> str:
    """Return a number, or with a unit a point in time, as text."""
    if unit is None:
        return f"{number:,.15g}"
    return f"{datetime.fromtimestamp(float(number) / unit, UTC):%Y-%m-%d %H:%M:%S}"


def _warnings(dataset: Dataset, events: _Events, unit: int | None, lengths: pl.Series) -> Iterator[str]:
    user_ids = dataset.users["user_id"]
    for name, ids in (("user", user_ids), ("item", dataset.items["item_id"])):
        if ids.str.contains(r"^\d+\.0+$").all():
            such = f"such as {ids[0]}, which is another id than {ids[0].partition('.')[0]}"
            yield f"warning: ids of {name}s look like fractions, {such}"
    if unit is not None and events.midnight[unit]:
        yield "warning: all times are midnight: within a day, interactions keep the order of the rows"
    user = int(lengths.to_numpy().argmax())
    share = lengths[user] / lengths.sum()
    if len(user_ids) >= _SOME and share >= 0.1:
        yield f"warning: user {user_ids[user]} alone has {share:.0%} of the interactions"
