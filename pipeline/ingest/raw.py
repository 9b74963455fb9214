"""What a reader returns: items and interactions as their source lists them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import polars as pl

from .event_log import EventLog

ITEMS = pl.Schema({"item_id": pl.String, "title": pl.String, "year": pl.Int32, "genres": pl.List(pl.String)})
_IDS = {"user_id": pl.String, "item_id": pl.String}
INTERACTIONS = pl.Schema({**_IDS, "rating": pl.Int8, "timestamp": pl.Int64})


@dataclass(frozen=True)
class RawDataset:
    """A data set in the order of its source, before rows are numbered."""

    name: str
    """`movielens`, `files` or `sample`."""
    md5: str | None
    """Checksum of the archive; None: there is no archive."""
    items: pl.DataFrame
    """One row per listed item, with the columns of `ITEMS`; title in reading order, unknown year null. Further columns
    are text or lists of text, null if unknown."""
    interactions: EventLog
    """One row per interaction, in file order. A timestamp is int64 seconds since 1970 (UTC); from `files`, a number of
    any unit."""
    checksums: Mapping[str, str] = field(default_factory=dict)
    """MD5 of other files, by the param that names them."""
    notes: tuple[str, ...] = ()
    """Lines for the summary, e.g. which column was taken for which role."""
    removed: Mapping[str, int] = field(default_factory=dict)
    """Number of removed rows, by the param that removed them."""
