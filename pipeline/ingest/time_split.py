"""A split of all users at two points in time: later interactions are for validation, the latest for the test."""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ..core.errors import ParamsError
from ..data.sequences import gap_buckets
from .sessions import session_gap

UNITS = (1, 10**3, 10**6, 10**9)
"""Units of timestamps in a second: s, ms, µs, ns."""


@dataclass(frozen=True)
class TimeSplit:
    """Where the interactions of all users are cut, for validation and for the test."""

    validation_from: float | str
    test_from: float | str
    every_target: bool = False
    """All interactions of a user after a cut are targets, not the first alone."""


def split_by_time(
    events: Iterable[pl.DataFrame], item_count: int, params: TimeSplit, every_item: bool
) -> tuple[pl.DataFrame, list[NDArray[np.bool_]], dict[str, float]]:
    """Cut the interactions at two points in time.

    The target of a user is the first interaction after a cut, or every interaction after it. A user without an
    interaction before the cut has no target. An item that was unknown before the cut is a target only if `every_item`.

    `events` are user, item, position, timestamp, in tables of whole users, sorted by (user, position). With
    `every_item`, every listed item may be ranked.

    Returns:
        One row per user: user, train_length, test_length and length, validation and test (null: no target). If every
        interaction is a target: also validation_positions and test_positions in the user's items. If targets start
        sessions (`session_gap`): session_starts, the positions of the items that start one, without each user's first.
        Second, whether each item may be ranked for the test, and for the validation, bool [n] each. Third, counts: the
        cuts, targets, sessions, and the users and items that are new in the test.

    Raises:
        ParamsError: a cut is not a point in time of the data, or the two are in the wrong order.
    """
    times = np.concatenate([table["timestamp"].to_numpy() for table in events])  # [N]
    first, second = (_point(getattr(params, key), times, key) for key in ("validation_from", "test_from"))
    start, end = times.min(), times.max()
    if not start < first < second <= end:
        unit = unit_of(start, end)
        cuts, span = (
            " and ".join(shown_time(t, unit) for t in pair) for pair in ((first, second), (start, end))
        )
        what = f"the cuts {cuts} do not lie one after the other between {span}"
        order = "validation_from is the earlier cut, test_from the later one"
        remedy = order if first > second else "choose cuts within these times, and further apart"
        raise ParamsError(what, "params.yaml, key ingest.validation_from", remedy)
    earliest = pl.concat(table.group_by("item").agg(pl.col("timestamp").min()) for table in events)
    earliest = earliest.group_by("item").agg(pl.col("timestamp").min())

    def known_before(cut: float) -> NDArray[np.bool_]:
        items = np.full(item_count, every_item)  # [n]
        items[earliest.filter(pl.col("timestamp") < cut)["item"].to_numpy()] = True
        return items

    known, early = known_before(second), known_before(first)
    split = pl.concat(_parts(table, first, second, early, known) for table in events)
    targets = {name: int(split[f"{name}_positions"].list.len().sum()) for name in ("validation", "test")}
    if not params.every_target:
        first_only = pl.col("validation_positions").list.head(1)
        split = split.with_columns(first_only).drop("test_positions")
        targets = {name: split[name].count() for name in targets}
    training = split.select(pl.col("gaps").list.slice(1, pl.col("train_length").sub(1).clip(0)))["gaps"]
    validation = split.select(pl.col("gaps").list.gather(pl.col("validation_positions")))["gaps"]
    lengths = training.list.len().to_numpy()  # [U]
    weights = 1 / np.repeat(lengths, lengths)  # [N], equal for all users
    flat = (gaps.explode().drop_nulls().to_numpy() for gaps in (training, validation))
    shortest = session_gap(next(flat), next(flat), weights)
    sessions = {}
    if shortest is not None:
        starts = pl.col("gaps").list.eval(pl.arg_where(pl.element() >= shortest)).cast(pl.List(pl.Int32))
        split = split.with_columns(session_starts=starts)
        sessions = {"sessions": len(split) + int(split["session_starts"].list.len().sum())}
    split = split.drop("gaps", *([] if params.every_target else ["validation_positions"]))
    after = split.filter(pl.col("length") > pl.col("test_length"))
    counts = {
        "validation_from": float(first),
        "test_from": float(second),
        **{f"{name}_targets": count for name, count in targets.items()},
        **sessions,
        "new_users": int((after["test_length"] == 0).sum()),
        "new_items": int((earliest["timestamp"] >= second).sum()),
    }
    return split, [known, early], counts


def _parts(
    table: pl.DataFrame, first: float, second: float, early: NDArray[np.bool_], known: NDArray[np.bool_]
) -> pl.DataFrame:
    items, time = table["item"].to_numpy(), pl.col("timestamp")
    gap = gap_buckets(table["position"].to_numpy(), table["timestamp"].to_numpy())  # [N], int8
    table = table.with_columns(
        early=pl.Series(early[items]), known=pl.Series(known[items]), gap=pl.Series(gap)
    )
    in_validation = (time >= first) & (time < second) & pl.col("early") & (time.min() < first)
    in_test = (time >= second) & pl.col("known") & (time.min() < second)
    parts = (("validation", in_validation), ("test", in_test))
    return table.group_by("user", maintain_order=True).agg(
        train_length=(time < first).sum().cast(pl.Int32),
        test_length=(time < second).sum().cast(pl.Int32),
        length=pl.len().cast(pl.Int32),
        **{name: pl.col("item").filter(part).first() for name, part in parts},
        **{f"{name}_positions": pl.col("position").filter(part) for name, part in parts},
        gaps=pl.col("gap"),
    )


def _point(cut: float | str, times: NDArray, key: str) -> float:
    """Return the timestamp of a cut."""
    if isinstance(cut, str):
        where = f"params.yaml, key ingest.{key}"
        try:
            date = datetime.fromisoformat(cut)
        except ValueError:
            raise ParamsError(f"{cut!r} is not a date", where, "write 2011-10-01") from None
        unit = unit_of(times.min(), times.max())
        if unit is None:
            what = "the timestamps of the data do not look like times since 1970, so a date is no cut"
            raise ParamsError(what, where, "give a timestamp, or a share below 1")
        return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() * unit
    if cut < 1:
        place = int(cut * len(times))
        return np.partition(times, place)[place].item()
    return cut


def shown_time(number: float, unit: int | None) -> str:
    """Return a timestamp as text: as a date in UTC, or as a number if it has no unit or is no date in it."""
    with suppress(ValueError, OverflowError, OSError):
        if unit is not None:
            return f"{datetime.fromtimestamp(float(number) / unit, UTC):%Y-%m-%d %H:%M:%S}"
    return f"{number:,.15g}"


def unit_of(first: float, last: float) -> int | None:
    """Return how many of the timestamps' unit make a second; None: they do not look like times since 1970."""
    for unit in UNITS:
        if 1e8 * unit <= first <= last < 1e10 * unit:  # 1973 to 2286
            return unit
    return None
