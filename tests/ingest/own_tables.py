"""Small tables of own data: missing texts, ties, and an item without interactions."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import polars as pl
from hierrec.ingest.event_log import EventLog, RawDataset

TABLES: dict[str, bytes] = {
    "interactions.csv": (
        b"user,item,timestamp\n"
        b"ann,kettle,100\nann,cup,300\nann,teapot,200\nann,spoon,300\n"
        b"bob,cup,50\nbob,kettle,60\nbob,spoon,70\n"
        b"cleo,spoon,5\n"
    ),
    "items.csv": (
        "item,title,year,genres,plot\n"
        'kettle,Kettle,1961,Home|Steel,"Boils, and whistles."\n'
        "teapot,,,,\n"
        "cup,Étude in Clay,1999,Home,\n"
        "spoon,Spoon,,Steel,Stirs.\n"
        "fork,Fork,,,Nobody took it.\n"
    ).encode(),
    "texts.json": b'{"kettle": "Made of copper.", "spoon": " ", "cup": null, "9": "No such item."}',
}


def write_tables(folder: Path, files: Mapping[str, bytes] = TABLES) -> dict[str, str]:
    """Write the files; return the params of `ingest` that name them."""
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return {
        "ingest.dataset": "files",
        "ingest.interactions": str(folder / "interactions.csv"),
        "ingest.items": str(folder / "items.csv"),
    }


def events(raw: RawDataset) -> pl.DataFrame:
    """Return the interactions of a log as a table, in their order."""
    log = raw.interactions
    assert isinstance(log, EventLog)
    rows = np.concatenate(list(log.blocks()))
    assert (np.diff(rows["line"]) > 0).all()
    rated = "rating" in (rows.dtype.names or ())
    ratings = pl.Series(rows["rating"]).fill_nan(None) if rated else pl.repeat(None, len(rows), eager=True)
    return pl.DataFrame(
        {
            "user_id": log.user_ids(rows["user"]),
            "item_id": log.item_ids(rows["item"]),
            "rating": ratings.cast(pl.Int8 if log.whole_ratings else pl.Float64),
            "timestamp": rows["timestamp"],
        }
    )
