"""A split of all users at two points in time: later interactions are for validation, the latest for the test."""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ..core.errors import ParamsError
from ..core.sequences import GAP_BUCKETS, gap_buckets

UNITS = (1, 10**3, 10**6, 10**9)  # units of timestamps in a second: s, ms, µs, ns
DISTANCE = 0.5  # least one-sided Kolmogorov-Smirnov distance of gaps before targets from gaps before training items


@dataclass(frozen=True)
class TimeSplit:
    """Where the interactions of all users are cut, and whether all interactions after a cut are targets."""

    validation_from: float | str
    test_from: float | str
    every_target: bool = False


def split_by_time(
    events: Iterable[pl.DataFrame], item_count: int, params: TimeSplit, every_item: bool
) -> tuple[pl.DataFrame, list[NDArray[np.bool_]], dict[str, float]]:
    """Cut the interactions at two points in time.

    The target of a user is the first interaction after a cut, or every interaction after it. A user without an
    interaction before the cut has no target. An item that was unknown before the cut is a target only if `every_item`.

    `events` are user, item, position, timestamp, in tables of whole users, sorted by (user, position). With
    `every_item`, every listed item may be ranked.

    Returns one row per user, as `load_split` reads them; whether each item may be ranked for the test, and for the
    validation, bool [n] each; and counts: the cuts, targets, sessions, and the users and items that are new in the
    test. Raises ``ParamsError`` if a cut is not a point in time of the data, or the two are in the wrong order.
    """
    times = np.concatenate([table["timestamp"].to_numpy() for table in events])  # [N]
    first, second = (_point(getattr(params, key), times, key) for key in ("validation_from", "test_from"))
    start, end = times.min(), times.max()
    if not start < first < second <= end:
        shown = [shown_time(time, unit_of(start, end)) for time in (first, second, start, end)]
        cuts, span = " and ".join(shown[:2]), " and ".join(shown[2:])
        what = f"the cuts {cuts} do not lie one after the other between {span}"
        remedy = "choose cuts within these times, and further apart"
        if first > second:
            remedy = "validation_from is the earlier cut, test_from the later one"
        raise ParamsError(what, "params.yaml, key ingest.validation_from", remedy)
    earliest = pl.concat(table.group_by("item").agg(pl.min("timestamp")) for table in events)
    earliest = earliest.group_by("item").agg(pl.min("timestamp"))

    def known_before(cut: float) -> NDArray[np.bool_]:
        items = np.full(item_count, every_item)  # [n]
        items[earliest.filter(pl.col("timestamp") < cut)["item"].to_numpy()] = True
        return items

    known, early = known_before(second), known_before(first)
    split = pl.concat(_parts(table, first, second, early, known) for table in events)
    positions = ["validation_positions", "test_positions"]
    if not params.every_target:
        split = split.with_columns(pl.col(positions).list.head(1))
    targets = split.select(pl.col(positions).list.len().sum()).row(0)
    counts = {"validation_from": float(first), "test_from": float(second)}
    counts |= {"validation_targets": int(targets[0]), "test_targets": int(targets[1])}
    gaps = pl.col("gaps")
    training = split.select(gaps.list.slice(1, pl.col("train_length").sub(1).clip(0))).to_series()
    validation = split.select(gaps.list.gather(pl.col("validation_positions"))).to_series()
    lengths = training.list.len().to_numpy()  # [U]
    weights = 1 / np.repeat(lengths, lengths)  # [N], equal for all users
    before_items, before_targets = (part.explode().drop_nulls().to_numpy() for part in (training, validation))
    shortest = session_gap(before_items, before_targets, weights)
    if shortest is not None:
        starts = gaps.list.eval(pl.arg_where(pl.element() >= shortest)).cast(pl.List(pl.Int32))
        split = split.with_columns(session_starts=starts)
        counts["sessions"] = len(split) + int(split["session_starts"].list.len().sum())
    targets = split["test"].drop_nulls().to_numpy()
    counts["untrained_targets"] = int((~early[targets]).sum())
    split = split.drop("gaps", *([] if params.every_target else positions))
    later = split.filter(pl.col("length") > pl.col("test_length"))
    counts["new_users"] = int((later["test_length"] == 0).sum())
    counts["new_items"] = int((earliest["timestamp"] >= second).sum())
    return split, [known, early], counts


def session_gap(training: NDArray[np.int8], targets: NDArray[np.int8], weights: NDArray[np.float64]) -> int | None:
    """Return the shortest gap that starts a session, as a bucket of `gap_buckets`.

    This gap separates targets from training items best: no other gap has a larger difference between the share of
    targets and the share of training items with at least that gap. After a cut in time, the targets of a shop start a
    visit, while most training items follow within one.

    Returns None if the shares differ by less than `DISTANCE` at every gap, or if fewer training items than targets have
    such a gap: too few to learn from.

    Args:
        training, targets: int8 [N] and [M], the bucket of the gap before each training item and each validation target.
        weights: float64 [N], weights of the training items; all users should have the same total weight.
    """
    parts = ((targets, None), (training, weights))
    counts = [np.bincount(gaps, of, minlength=GAP_BUCKETS) for gaps, of in parts]  # [GAP_BUCKETS] each
    shares = [count / max(count.sum(), np.finfo(np.float64).tiny) for count in counts]
    at_least = [share[::-1].cumsum()[::-1] for share in shares]  # [GAP_BUCKETS] each
    difference = at_least[0] - at_least[1]  # [GAP_BUCKETS]
    bucket = int(difference.argmax())
    learned = len(targets) > 0 and (training >= bucket).sum() >= len(targets)
    return bucket if learned and difference[bucket] >= DISTANCE else None


def _parts(
    table: pl.DataFrame, first: float, second: float, early: NDArray[np.bool_], known: NDArray[np.bool_]
) -> pl.DataFrame:
    items, time = table["item"].to_numpy(), pl.col("timestamp")
    gaps = gap_buckets(table["position"].to_numpy(), table["timestamp"].to_numpy())  # [N], int8
    table = table.with_columns(early=early[items], known=known[items], gaps=gaps)
    in_validation = (time >= first) & (time < second) & pl.col("early") & (time.min() < first)
    in_test = (time >= second) & pl.col("known") & (time.min() < second)
    parts = (("validation", in_validation), ("test", in_test))
    return table.group_by("user", maintain_order=True).agg(
        train_length=(time < first).sum().cast(pl.Int32),
        test_length=(time < second).sum().cast(pl.Int32),
        length=pl.len().cast(pl.Int32),
        **{name: pl.col("item").filter(part).first() for name, part in parts},
        **{f"{name}_positions": pl.col("position").filter(part) for name, part in parts},
        gaps=pl.col("gaps"),
    )


def _point(cut: float | str, times: NDArray, key: str) -> float:
    """Return the timestamp of a cut."""
    if not isinstance(cut, str):
        if cut >= 1:
            return cut
        place = int(cut * len(times))
        return np.partition(times, place)[place].item()
    where = f"params.yaml, key ingest.{key}"
    date = datetime.fromisoformat(cut)
    unit = unit_of(times.min(), times.max())
    if unit is None:
        span = " to ".join(shown_time(time, None) for time in (times.min(), times.max()))
        what = f"the timestamps of the data, {span}, do not look like times since 1970, so a date is no cut"
        raise ParamsError(what, where, "give a timestamp, or a share below 1")
    return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() * unit


def shown_time(number: float, unit: int | None) -> str:
    """Return a timestamp as text: as a date in UTC, or as a number if it has no unit or is no date in it."""
    with suppress(ValueError, OverflowError, OSError):
        if unit is not None:
            return f"{datetime.fromtimestamp(float(number) / unit, UTC):%Y-%m-%d %H:%M:%S}"
    return f"{number:,.15g}"


def unit_of(first: float, last: float) -> int | None:
    """Return how many of the timestamps' unit make a second; None: they do not look like times since 1970."""
    return next((unit for unit in UNITS if 1e8 * unit <= first <= last < 1e10 * unit), None)  # 1973 to 2286
