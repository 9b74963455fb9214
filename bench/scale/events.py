"""Generate a log of interactions like a user's own file: text ids, rows ordered by time, users interleaved."""

from pathlib import Path

import numpy as np
import polars as pl

LENGTH = 100
"""Mean number of interactions per user and per item."""

PART = 1_000_000


def write_log(folder: Path, interactions: int, suffix: str, seed: int = 1) -> tuple[Path, Path]:
    """Write a log and its items; sequence lengths are geometric, item popularity follows a power law.

    This function keeps the whole log in memory as numbers; its memory is not measured.

    Returns:
        The files of interactions (about `interactions`; fewer in a short log, because pairs are unique) and of items.
    """
    generator = np.random.default_rng([seed, interactions])
    count = max(10, interactions // LENGTH)
    lengths = generator.geometric(1 / LENGTH, count)  # [users]
    users = np.repeat(np.arange(count), lengths)  # [n]
    popular = generator.permutation(count)  # [items], the item of each rank
    ranks = np.minimum((count * generator.random(len(users)) ** 2).astype(np.int64), count - 1)  # [n]
    pairs = np.unique(users * count + popular[ranks])
    pairs = pairs[generator.permutation(len(pairs))]
    files = folder / f"interactions.{suffix}", folder / f"items.{suffix}"
    times = 1_500_000_000 + np.cumsum(generator.integers(0, 3, len(pairs)))  # a third have the time of the previous row
    table = pl.DataFrame({"user": pairs // count, "item": pairs % count, "timestamp": times})
    table = table.with_columns(pl.format("u{}", "user").alias("user"), pl.format("i{}", "item").alias("item"))
    items = pl.select(item=pl.format("i{}", pl.int_range(count)))
    for path, written in zip(files, (table, items.with_columns(title=pl.format("Title of {}", "item"))), strict=True):
        if suffix == "csv":
            written.write_csv(path, batch_size=PART)
        else:
            written.write_parquet(path, row_group_size=PART)
    return files
