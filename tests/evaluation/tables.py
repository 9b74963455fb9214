"""Tables of ranks for tests."""

from collections.abc import Sequence

import numpy as np
import polars as pl
from hierrec.evaluation.ranks import GROUPS, SCHEMA


def ranks_table(test: Sequence[float | None], **columns: Sequence) -> pl.DataFrame:
    """Return a table of ranks; columns that are not given follow from the test ranks."""
    users = len(test)
    missing = [rank is None for rank in test]
    groups = {
        name: [None if gone else names[user % len(names)] for user, gone in enumerate(missing)]
        for name, names in GROUPS.items()
    }
    values = {
        "user": range(users),
        **dict.fromkeys(("validation", "test", "dropped", "replaced"), test),
        **groups,
    }
    return pl.DataFrame({**values, **columns}, SCHEMA)


def random_ranks(users: int, seed: int, best: int = 1) -> np.ndarray:
    """Return ranks, float64 [users]; better ranks are more frequent."""
    return best + np.floor(np.random.default_rng(seed).exponential(15, users))
