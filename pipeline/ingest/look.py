"""A look at a data set before training: size, density, lengths, texts, times, and warnings."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl

from ..core.tables import CANDIDATE_COLUMNS
from .dataset import HELD_OUT, Dataset
from .time_split import UNITS, shown_time, unit_of

_SOME = 20  # least number of users for the warnings of few targets, and of one user with a tenth of the interactions
_UNIT_NAMES: dict[int, str] = dict(zip(UNITS, ("seconds", "milliseconds", "microseconds", "nanoseconds"), strict=True))
_FEW_TARGETS = 100  # with fewer test targets, the standard error of Recall@10 may reach 0.05


def look(dataset: Dataset) -> list[str]:
    """Return statistics of a data set and warnings, line by line."""
    (events, items), counts, lengths = _events(dataset), dataset.counts, dataset.lengths
    users, unit = counts["users"], unit_of(events["first"], events["last"])
    return [
        f"{dataset.name}: {counts['interactions']:,} interactions of {users:,} users",
        f"{counts['items']:,} items listed, {counts['candidates']:,} of them candidates for ranking",
        *dataset.left_out,
        f"density {counts['interactions'] / (users * items):.3%}: {users:,} users x {items:,} items with interactions"
        f"{', repeats counted' * ('repeated' in dataset.split.columns)}",
        f"interactions of a user: {lengths.min():,} to {lengths.max():,}, median {lengths.median():,.0f}",
        _texts(dataset.items),
        *_targets(dataset, events["ties"], unit),
        f"times from {shown_time(events['first'], unit)} to {shown_time(events['last'], unit)}",
        *_warnings(dataset, events["first"], events["last"], unit is not None and events[str(unit)], lengths),
    ]


def _events(dataset: Dataset) -> tuple[dict[str, Any], int]:
    """Return statistics of the interactions, and the number of items that have an interaction.

    `first` and `last` are times. `ties` counts the users whose test target has the time of the interaction before it.
    The key of each unit says whether all times, read in this unit, are midnights.
    """
    time, user = pl.col("timestamp"), pl.col("user")
    target = (user != user.shift(-1)).fill_null(True) & (pl.col("position") >= HELD_OUT)
    midnight = {str(unit): (time % (86_400 * unit) == 0).all() for unit in UNITS}
    seen, parts = np.zeros(len(dataset.items), np.bool_), []
    for table in dataset.events:  # of whole users
        seen[table["item"].to_numpy()] = True
        tie = (target & (time == time.shift(1))).sum()
        parts.append(table.select(first=time.min(), last=time.max(), ties=tie, **midnight))
    whole = (pl.col("first").min(), pl.col("last").max(), pl.col("ties").sum(), pl.col(*midnight).all())
    return pl.concat(parts).select(whole).row(0, named=True), int(seen.sum())


def _targets(dataset: Dataset, ties: int, unit: int | None) -> Iterator[str]:
    if "repeated" in dataset.split.columns:
        users = _share(int(dataset.split["repeated"].sum()), len(dataset.split))
        yield f"users with an item twice: {users}; so items of the history may be recommended again"
    if cut := dataset.cut:
        parts = [
            f"{name} from {shown_time(cut[f'{name}_from'], unit)} ({cut[f'{name}_targets']:,} targets)"
            for name in ("validation", "test")
        ]
        parts += [f"{cut['sessions']:,} sessions"] if "sessions" in cut else []
        new = f"{cut['new_users']:,} users, {cut['new_items']:,} items"
        yield f"cut: {', '.join(parts)}; new in the test: {new}"
        if untrained := int(cut.get("untrained_targets", 0)):  # older data do not have it
            targets = _share(untrained, dataset.split["test"].count())
            yield f"users whose test target has no training interaction, so that only its text ranks it: {targets}"
    elif "length" not in dataset.split.columns:
        targets = dataset.split["test"].count()  # none after `hierrec update`
        yield f"users whose test target is decided by a tie in time: {_share(min(ties, targets), targets)}"


def _texts(items: pl.DataFrame) -> str:
    """Say how many items have text, and how long it is: the characters of all columns but the year."""
    texts = items.drop("row", "item_id", "year", *CANDIDATE_COLUMNS, strict=False)
    joined = [text.list.join("") if isinstance(text.dtype, pl.List) else text for text in texts]
    lengths = pl.select(pl.concat_str(joined, ignore_nulls=True).str.len_chars()).to_series()
    found = lengths.filter(lengths > 0)
    length = f", median length {found.median():,.0f} characters" if len(found) else ""
    return f"items with text: {_share(len(found), len(items))}{length}"


def _share(part: int, whole: int) -> str:
    return f"{part:,} of {whole:,} ({part / max(whole, 1):.0%})"


def _warnings(dataset: Dataset, first: float, last: float, midnight: bool, lengths: pl.Series) -> Iterator[str]:
    early, late = unit_of(first, first), unit_of(last, last)
    if early and late and early != late:
        earliest = f"{shown_time(first, None)}, fits {_UNIT_NAMES[early]}"
        latest = f"{shown_time(last, None)}, fits {_UNIT_NAMES[late]}"
        yield (
            f"warning: the earliest time, {earliest} since 1970, and the latest, {latest}: if these are numbers of two"
            " units, their order is wrong; write all times of the table in one unit"
        )
    user_ids = dataset.users["user_id"]
    for name, ids in (("user", user_ids), ("item", dataset.items["item_id"])):
        fractions = ids.filter(ids.str.contains(r"^\d+\.0+$"))
        whole = fractions.str.replace(r"\.0+$", "")
        if len(fractions) == len(ids) or whole.is_in(ids.implode()).any():
            such = f"such as {fractions[0]}, which is another id than {whole[0]}"
            yield f"warning: ids of {name}s look like fractions, {such}"
    if midnight:
        yield "warning: all times are midnight: within a day, interactions keep the order of the rows"
    targets = dataset.split["test"].count()
    if len(user_ids) >= _SOME and 0 < targets < _FEW_TARGETS:  # `hierrec update` holds nothing out
        yield f"warning: {targets} users have a test target: metrics of so few depend on chance"
    user = int(lengths.to_numpy().argmax())
    share = lengths[user] / lengths.sum()
    if len(user_ids) >= _SOME and share >= 0.1:
        yield f"warning: user {user_ids[user]} alone has {share:.0%} of the interactions"
