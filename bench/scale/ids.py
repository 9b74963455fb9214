"""`python -m bench.scale.ids 4000000`: print the MiB of that many user ids, which `ingest` keeps in memory."""

import json
import sys

import polars as pl
from hierrec.ingest.dataset import numbered
from hierrec.ingest.event_log import EventLog

from bench.scale.process import resident_peak_mb

PART = 200_000


def main(count: int) -> None:
    """Append one interaction per user, then number the users as `ingest` does."""
    log = EventLog(pl.Series(["i0"]))
    before = resident_peak_mb()
    for start in range(0, count, PART):
        rows = min(PART, count - start)
        ids = pl.select(pl.format("u{}", pl.int_range(start, start + rows))).to_series()
        log.append(ids, pl.repeat("i0", rows, eager=True), pl.repeat(0, rows, dtype=pl.Int64, eager=True))
    table = pl.DataFrame({"user": numbered(log.user_ids()), "user_id": log.user_ids()}).sort("user")
    assert len(table) == count
    peak = resident_peak_mb()
    print(
        json.dumps(
            {
                "before_mb": round(before),
                "peak_mb": round(peak),
                "bytes_an_id": round((peak - before) * 2**20 / count),
            }
        )
    )


if __name__ == "__main__":
    main(int(sys.argv[1]))
