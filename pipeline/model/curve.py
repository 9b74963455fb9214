"""Learning curves as CSV: for DVC's plots, and in the model's folder for the report."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl

from ..core.errors import CheckpointError
from ..core.files import atomic_path

CHOSEN_BY = "ndcg@10"
"""The validation metric that picks the best epoch."""

CURVE = "curve.csv"
"""In a model's folder: its learning curve."""

Curve = Sequence[Mapping[str, float]]
"""One record per validation: epoch, train_loss and the validation metrics."""


def write_curve(path: Path, records: Curve) -> None:
    """Write one row per validation: epoch, train_loss and the validation metrics, rounded to 6 digits."""
    table = pl.DataFrame(records).with_columns(pl.col("epoch").cast(pl.Int32), pl.selectors.float().round(6))
    with atomic_path(path) as temporary:
        table.write_csv(temporary)


def read_curve(folder: Path) -> pl.DataFrame:
    """Read the learning curve in a model's folder, whose checksums have been compared.

    Raises:
        CheckpointError: there is none, or it is no table.
    """
    try:
        return pl.read_csv(folder / CURVE)
    except (OSError, pl.exceptions.PolarsError) as error:
        remedy = "run `dvc repro` to train again"
        raise CheckpointError(f"the learning curve cannot be read: {error}", str(folder), remedy) from None
