"""Reader of a table of interactions, a block at a time: what is wrong is said as if it had been read whole."""

from pathlib import Path

import numpy as np
import polars as pl

from .checks import BlockChecks, Check, quote
from .event_log import EventLog, Origin
from .sources import file_source
from .table_files import as_ids, find_column, read_blocks
from .tables import Layout
from .timestamps import FinerFound, Timestamps

_NEEDED = ("user", "item", "timestamp")

_BLOCK = 2**22
"""Bytes of a CSV file that are parsed at a time, fewer than of other tables: its rows are short, and many."""


def read_events(path: Path, listed: pl.Series, listing: str) -> EventLog:
    """Read and check interactions, CSV or Parquet (see `read_blocks`); that a pair is there once, the log will check.

    Args:
        path: of the table, with the columns `user`, `item` (or `user_id`, `item_id`) and `timestamp`; others are not
            read.
        listed: ids of the items, each once.
        listing: the file that lists them.

    Raises:
        DataError: anything is not as it must be; the message names file, row and column.
    """
    try:
        return _read(path, listed, listing, fine=False)
    except FinerFound:
        return _read(path, listed, listing, fine=True)


def _read(path: Path, listed: pl.Series, listing: str, fine: bool) -> EventLog:
    place = str(path)
    origin = Origin()
    origin.add(place, 0)
    log, checks, times, before = EventLog(listed, origin), BlockChecks(), Timestamps(place, fine), 0
    for table in read_blocks(file_source(path), Layout(size=_BLOCK, one_line=True)):
        user, item, time = (find_column(table, name, place, _NEEDED) for name in _NEEDED)
        with checks.block(np.arange(before, before + len(table))):
            users = as_ids(table[user], place, checks.refuse)
            items = as_ids(table[item], place, checks.refuse)
            timestamps = times.read(table[time], checks.refuse)
            codes = log.item_codes(items)
            checks.refuse(
                Check(
                    codes >= len(listed),
                    place,
                    lambda row, items=items: f"item {quote(items[row])} is not listed in {listing}",
                    "add it there; a row with the id alone is enough",
                    "item",
                )
            )
            log.append(users, codes, timestamps)
        before += len(table)
    checks.finish()
    return log
