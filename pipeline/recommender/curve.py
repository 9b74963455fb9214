"""Learning curves as CSV, for DVC's plots."""

from pathlib import Path

import polars as pl

from ..files import atomic_path


def write_curve(path: Path, records: list[dict[str, float]]) -> None:
    """Write one row per validation: epoch, train_loss and the validation metrics, rounded to 6 digits."""
    table = pl.DataFrame(records).with_columns(pl.col("epoch").cast(pl.Int32), pl.selectors.float().round(6))
    with atomic_path(path) as temporary:
        table.write_csv(temporary)
