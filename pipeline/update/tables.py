"""Further interactions, users and items in the tables of a data set."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import polars as pl

from ..core.errors import DataError, NoRowsError, quote
from ..core.files import cache_dir, read_json
from ..core.tables import CANDIDATE_COLUMNS
from ..ingest.dataset import Dataset, build
from ..ingest.download import fetch_parts
from ..ingest.event_log import EventLog, RawDataset
from ..ingest.item_files import read_items
from ..ingest.own_files import read_files, suspicious_users
from ..ingest.params import IngestParams
from ..ingest.time_split import shown_time, unit_of


def extended_dataset(
    data: Path, interactions: Path | None, items: Path | None, ingest: IngestParams
) -> tuple[Dataset, list[str]]:
    """Return the data set in a folder together with the rows of further tables, and notes about rows without effect.

    Tables are read as ingest reads them, from a file, folder or pattern; a table may have no rows. `ingest` says how
    they are written, which rows count (`where`, `min_rating`), and what happens to an item that a user has already
    (`repeats`).

    Interactions are merged in order of time; at equal times, the data's come first. All interactions are for training:
    nothing is held out. Known items keep their texts. A new item may be recommended if the table of items lists it, or
    if somebody has taken it; an item that is not listed has no text.

    Raises ``DataError`` if a repeated interaction is refused, or times or texts are of another kind than the data's.
    """
    known = Dataset.read(data, {}, {})
    repeats = ingest.repeats if ingest.dataset == "files" else "refuse"
    past = _named(known)
    events, removed, notes = past.clear(), Counter[str](), list[str]()
    if interactions is not None:
        try:
            events, removed, notes = _read_events(interactions, ingest.model_copy(update={"repeats": repeats}), past)
        except NoRowsError as error:
            notes.append(f"{error.where}: {error.what}")
        if repeats == "refuse":
            _refuse_repeats(past, events, interactions)
    described = known.items.drop("row", *CANDIDATE_COLUMNS, strict=False)
    listed, items_notes = (described.clear(), []) if items is None else _listed(items, described, ingest)
    taken = events.select("item_id").unique(maintain_order=True)
    unlisted = taken.filter(~pl.col("item_id").is_in([*described["item_id"], *listed["item_id"]]))
    if len(unlisted):
        notes.append(
            f"{len(unlisted):,} items, such as {quote(unlisted.item(0, 0))}, are in no table: added without text"
        )
    every_item = pl.concat([described, listed, unlisted], how="diagonal")
    every_item = every_item.with_columns(pl.col("genres").fill_null([]))
    manifest = read_json(data / "manifest.json")
    md5, checksums = manifest["source"].pop("md5"), manifest["source"]
    log = EventLog.of(pl.concat([past, events]), every_item["item_id"])
    raw = RawDataset(known.name, md5, every_item, log, checksums)
    dataset = build(raw, ingest.candidates, repeats)
    none = pl.lit(None, pl.Int32)
    split = dataset.split.with_columns(train_length=dataset.lengths.cast(pl.Int32), validation=none, test=none)
    if "repeated" in split.columns and "repeated" not in known.split.columns:
        split = split.drop("repeated")  # else items of every history would be recommended, by a model that cannot do so
        notes.append(
            "users take an item again; the model was trained without repeats and leaves out items of the history"
        )
    shown = pl.concat([known.items.filter("candidate")["item_id"], listed["item_id"]])
    every_item = dataset.items.with_columns(pl.col("candidate") | pl.col("item_id").is_in(shown.implode()))
    whole = replace(dataset, items=every_item, split=split, removed=removed + Counter(dataset.removed))
    return whole, [*notes, *whole.left_out, *items_notes]


def _read_events(path: Path, ingest: IngestParams, past: pl.DataFrame) -> tuple[pl.DataFrame, Counter[str], list[str]]:
    """Read interactions in the form of `past`, in each user's order; the numbers of rows that do not count; notes."""
    # These bounds hold for the whole data set, which is not counted again here.
    rows = {"min_user_interactions": None, "min_item_interactions": None}
    raw = read_files(_files(path, "--interactions"), None, ingest.model_copy(update=rows))
    new = build(raw, repeats=ingest.repeats)
    events = _named(new)
    times = _alike(events["timestamp"], past["timestamp"], path)
    return events.with_columns(timestamp=times), Counter(new.removed), suspicious_users(raw.interactions)


def _named(dataset: Dataset) -> pl.DataFrame:
    """Return the interactions in the total order, with ids: user_id, item_id, rating and timestamp."""
    events = pl.concat(dataset.events)
    return events.select(
        user_id=dataset.users["user_id"].gather(events["user"]),
        item_id=dataset.items["item_id"].gather(events["item"]),
        rating=pl.col("rating").cast(pl.Float64),
        timestamp="timestamp",
    )


def _alike(times: pl.Series, past: pl.Series, path: Path) -> pl.Series:
    """Return timestamps in the unit of the data's; raise ``DataError`` if they are of another kind, or finer."""
    new, old = (unit_of(numbers.max(), numbers.max()) for numbers in (times, past))  # type: ignore[arg-type]
    place, remedy = f"{path}, timestamps", f"write them as the data has them, such as {past[-1]}"
    if times.dtype != past.dtype:
        kinds = ("whole numbers", "fractions") if past.dtype.is_integer() else ("fractions", "whole numbers")
        raise DataError(f"are {kinds[1]}, but those of the data are {kinds[0]}", place, remedy)
    if old is None or new == old:
        return times
    if new is None:
        raise DataError(f"such as {times[0]} are no times since 1970, but those of the data are", place, remedy)
    if new < old:
        return times * (old // new)
    finer = times.filter(times % (new // old) != 0)
    if len(finer):
        unit = {1: "seconds", 10**3: "milliseconds", 10**6: "microseconds"}[old]
        such = f"such as {shown_time(finer[0], new)} and a fraction"
        what = f"{such} are finer than those of the data, which are whole {unit}"
        raise DataError(what, place, f"round them to {unit}")
    return times // (new // old) if times.dtype.is_integer() else times / (new // old)


def _refuse_repeats(past: pl.DataFrame, events: pl.DataFrame, path: Path) -> None:
    again = events.join(past, on=["user_id", "item_id"], how="semi")
    if len(again):
        user, item = again.select("user_id", "item_id").row(0)
        more = f" (and {len(again) - 1:,} more)" if len(again) > 1 else ""
        what = f"user {quote(user)} has item {quote(item)} in the data already{more}"
        raise DataError(what, str(path), "leave these rows out: in these data a user has an item once")


def _listed(path: Path, known: pl.DataFrame, ingest: IngestParams) -> tuple[pl.DataFrame, list[str]]:
    """Read the new items of a table, with the columns that known items have too; notes name rows without effect."""
    try:
        table = read_items(_files(path, "--items"), ingest)[0]
    except NoRowsError as error:
        return known.clear(), [f"{error.where}: {error.what}"]
    items = table.join(known, on="item_id", how="anti", maintain_order="left")
    items = items.select(name for name in known.columns if name in items.columns)
    for name, dtype in items.schema.items():
        if dtype != known.schema[name]:
            kinds = f"of type {dtype}, but {known.schema[name]} in the data"
            raise DataError(f"column {quote(name)} is {kinds}", str(path), "write it the same way")
    again = len(table) - len(items)
    notes = [f"{again:,} items of {path} are in the data already: their texts stay as they are until a training"]
    texts = items.drop("item_id").with_columns(pl.col(pl.List(pl.String)).list.first())
    without = items.filter(texts.select(pl.all_horizontal(pl.all().is_null())).to_series())["item_id"]
    if len(without):
        notes.append(f"{len(without):,} new items of {path}, such as {quote(without[0])}, have no text")
    return items, notes[again == 0 :]


def _files(table: Path, option: str) -> list[Path]:
    return fetch_parts(str(table), None, cache_dir("downloads"), option)
