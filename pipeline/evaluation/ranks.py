"""The ranks of a variant's targets, from which every metric is computed, and the groups of the targets.

A table has one row per user; where users have several targets, one per target.
"""

from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ..core.errors import DataError
from ..core.tables import row_groups

GROUPS = {  # of each slice, in order
    "history": ("short", "middle", "long"),
    "popularity": ("head", "middle", "tail"),
    "target": ("new", "repeated"),
}

PERTURBED = ("dropped", "replaced")
"""Columns of the test ranks after a part of the history was dropped or replaced; null for users outside the sample."""

SCHEMA = pl.Schema(
    {
        "user": pl.Int32,
        **dict.fromkeys(("validation", "test", *PERTURBED), pl.Float64),
        **dict.fromkeys(GROUPS, pl.String),
    }
)
"""All columns but `user` are null where the row lacks the target, or where `evaluate.users` leaves the user out;
`validation` also where a fusion learns from the user (`core.sequences.split_users`). A rank is 1 at best, and infinite
for a target that was not ranked. `history`, `popularity` and `target` name the user's group in each slice."""

BASELINES_SCHEMA = pl.Schema({"baseline": pl.String, **{name: SCHEMA[name] for name in ("user", "validation", "test")}})
"""The ranks of all baselines, one baseline after the other; the other columns are as in `SCHEMA`."""


def load_ranks(path: Path, schema: pl.Schema = SCHEMA) -> pl.DataFrame:
    """Read the ranks of a variant, or with `BASELINES_SCHEMA` the ranks of the baselines.

    Raises ``DataError`` if the file is missing or damaged, or a column or type is not as written.
    """
    ranks = pl.concat(row_groups(path))
    if ranks.schema != schema:
        raise DataError(f"the columns are {dict(ranks.schema)}, not {dict(schema)}", str(path), "run `dvc repro`")
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


def history_groups(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the tercile of each history length, int64 [U]: indices into `GROUPS["history"]`.

    `lengths`, int64 [U], are those of full histories. Equal lengths share a group, so the groups may differ in size.
    """
    shorter = np.searchsorted(np.sort(lengths), lengths)  # [U], users with a shorter history
    return 3 * shorter // max(1, len(lengths))


def popularity_groups(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the third of the training interactions that each item belongs to, places in `GROUPS["popularity"]`.

    From the most to the least frequent item (ties by row), head are the items that make up the first third of all
    training interactions, middle the items of the second, tail the rest; items without training are tail. `counts` are
    the training interactions of each item, at least 1 in all; both int64 [n].
    """
    order = np.argsort(-counts, kind="stable")
    before = np.cumsum(counts[order]) - counts[order]  # [n], interactions of items that are more frequent
    groups = np.empty(len(counts), np.int64)
    groups[order] = np.minimum(3 * before // counts.sum(), 2)
    return groups
