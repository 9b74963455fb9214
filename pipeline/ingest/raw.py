"""What a reader hands to ``dataset.build``: items and interactions as their source lists them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import polars as pl

from .event_log import EventLog

ITEMS = pl.Schema({"item_id": pl.String, "title": pl.String, "year": pl.Int32, "genres": pl.List(pl.String)})
INTERACTIONS = pl.Schema(
    {"user_id": pl.String, "item_id": pl.String, "rating": pl.Int8, "timestamp": pl.Int64}
)


Interactions = TypeVar("Interactions", bound=pl.DataFrame | EventLog, covariant=True)
"""How a source holds its interactions: as a table, or as a log, which may be longer than memory."""


@dataclass(frozen=True)
class RawDataset(Generic[Interactions]):
    """A data set in the order of its source, before rows are numbered.

    Attributes:
        name: `movielens`, `files` or `sample`.
        md5: checksum of the archive that was read; None where there is none.
        items: one row per listed item; title in reading order, year null where unknown, genres maybe empty. Further
            columns are text or lists of text, null where unknown.
        interactions: one row per interaction, in file order: a table, or where they may be longer than memory, a log. A
            timestamp is int64 seconds since 1970 (UTC); from `files`, a number of any unit.
        checksums: MD5 of other files that were read, by the param that names them.
        notes: what the reader has to say, e.g. which column it took for what.
        removed: rows that were left out, by the param that removed them.
    """

    name: str
    md5: str | None
    items: pl.DataFrame
    interactions: Interactions
    checksums: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    removed: Mapping[str, int] = field(default_factory=dict)
