"""The ranks of a variant's targets, one row per user: what every metric is computed from."""

from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ..core.errors import DataError
from ..data.tables import row_groups
from .slices import GROUPS

PERTURBED = ("dropped", "replaced")
"""Columns of the test ranks after a part of the history was dropped or replaced."""

SCHEMA = pl.Schema(
    {
        "user": pl.Int32,
        "validation": pl.Float64,
        "test": pl.Float64,
        **dict.fromkeys(PERTURBED, pl.Float64),
        **dict.fromkeys(GROUPS, pl.String),
    }
)
"""Row u belongs to user u. All but the user is null where he has no target; `validation` also where a fusion learns
from his target (`data.sequences.halves`). A rank is 1 at best, and infinite for a target that was not ranked.
`history`, `popularity` and `target` name the user's group in each slice."""


BASELINES_SCHEMA = pl.Schema(
    {"baseline": pl.String, **{name: SCHEMA[name] for name in ("user", "validation", "test")}}
)
"""The ranks of all baselines, one below the other; the columns are those of `SCHEMA`."""


def load_ranks(path: Path, schema: pl.Schema = SCHEMA) -> pl.DataFrame:
    """Read the ranks of a variant, or with `BASELINES_SCHEMA` those of the baselines.

    Raises:
        DataError: the file is missing or damaged, or a column or type is not as written.
    """
    ranks = pl.concat(row_groups(path))
    if ranks.schema != schema:
        raise DataError(
            f"the columns are {dict(ranks.schema)}, not {dict(schema)}", str(path), "run `dvc repro`"
        )
    return ranks


def sliced(ranks: pl.DataFrame) -> dict[str, dict[str, NDArray[np.float64]]]:
    """Return test ranks by slice and group, each [U'], U' >= 0.

    The groups of `history`, `popularity` and `target` each hold every user once; those of `perturbed` hold all users,
    with another history, or none where nothing was perturbed.
    """
    ranks = ranks.drop_nulls("test")
    slices = {
        name: {group: ranks.filter(pl.col(name) == group)["test"].to_numpy() for group in groups}
        for name, groups in GROUPS.items()
    }
    return {**slices, "perturbed": {name: ranks[name].drop_nulls().to_numpy() for name in PERTURBED}}
