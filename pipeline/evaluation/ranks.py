"""The ranks of a variant's targets, from which every metric is computed.

A table has one row per user; where users have several targets, one per target.
"""

from pathlib import Path

import polars as pl

from ..core.errors import DataError
from ..data.tables import row_groups
from .slices import GROUPS

PERTURBED = ("dropped", "replaced")
"""Columns of the test ranks after a part of the history was dropped or replaced; null for users outside the sample."""

SCHEMA = pl.Schema(
    {
        "user": pl.Int32,
        "validation": pl.Float64,
        "test": pl.Float64,
        **dict.fromkeys(PERTURBED, pl.Float64),
        **dict.fromkeys(GROUPS, pl.String),
    }
)
"""All columns but `user` are null where the row lacks the target, or where `evaluate.users` leaves the user out;
`validation` also where a fusion learns from the user (`data.sequences.halves`). A rank is 1 at best, and infinite for a
target that was not ranked. `history`, `popularity` and `target` name the user's group in each slice."""


BASELINES_SCHEMA = pl.Schema(
    {"baseline": pl.String, **{name: SCHEMA[name] for name in ("user", "validation", "test")}}
)
"""The ranks of all baselines, one baseline after the other; the other columns are as in `SCHEMA`."""


def load_ranks(path: Path, schema: pl.Schema = SCHEMA) -> pl.DataFrame:
    """Read the ranks of a variant, or with `BASELINES_SCHEMA` the ranks of the baselines.

    Raises:
        DataError: the file is missing or damaged, or a column or type is not as written.
    """
    ranks = pl.concat(row_groups(path))
    if ranks.schema != schema:
        raise DataError(
            f"the columns are {dict(ranks.schema)}, not {dict(schema)}", str(path), "run `dvc repro`"
        )
    return ranks


def user_ranks(ranks: pl.DataFrame, column: str = "test") -> pl.DataFrame:
    """Return user and rank of each test target; the rank is read from `column`."""
    return ranks.drop_nulls("test").select("user", rank=column)


def sliced(ranks: pl.DataFrame) -> dict[str, dict[str, pl.DataFrame]]:
    """Return user and rank of the test targets by slice and group.

    The groups of `history`, `popularity` and `target` hold every target once. The groups of `perturbed` hold the
    targets of a sample of the users, after a perturbed history; without perturbation they are empty.
    """
    slices = {
        name: {group: user_ranks(ranks.filter(pl.col(name) == group)) for group in groups}
        for name, groups in GROUPS.items()
    }
    return {**slices, "perturbed": {name: user_ranks(ranks, name).drop_nulls() for name in PERTURBED}}
