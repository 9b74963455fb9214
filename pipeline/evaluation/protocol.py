"""What is ranked: every user's validation and test target, the latter also after perturbed histories."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ..core.errors import DataError
from ..data.sequences import NO_TARGET, Sequences, halves
from ..ranking.evaluator import Scorer, rank_targets
from .params import EvaluateParams
from .perturbation import perturbed_histories
from .ranks import PERTURBED, SCHEMA
from .slices import GROUPS, history_groups, popularity_groups


def evaluate(
    scorer: Scorer,
    sequences: Sequences,
    candidates: NDArray[np.bool_],
    params: EvaluateParams,
    train_seed: int,
    validation_candidates: NDArray[np.bool_] | None = None,
    perturb: bool = True,
) -> pl.DataFrame:
    """Rank the whole catalogue for every user, once per target and history.

    Validation ranks are kept for the users from whom no fusion learns, whatever the variant: both are measured on the
    same users, and neither on targets that it was fitted to.

    The history of the test target holds all items before the cut of the test, so the validation item as well. Unless
    users have items twice, no item of the true history is ranked, and none of the perturbed one.

    Args:
        scorer: the variant.
        sequences: the data and its split.
        candidates: bool [n], items that may be ranked.
        params: section `evaluate`.
        train_seed: `train.seed` of the model, which draws the users from whom a fusion learns.
        validation_candidates: bool [n], those known before the cut of the validation; None: all of `candidates`.
        perturb: rank after perturbed histories too; if not, their columns are null.

    Returns:
        One row per user, columns as in `ranks.SCHEMA`.

    Raises:
        DataError: no user has a target, or a history holds the target.
        NumericalError: a score is NaN.
    """
    test, before_test = sequences.test, sequences.test_histories()
    if not (test != NO_TARGET).any():
        raise DataError("no user has a target, so there is nothing to evaluate", "split", "check the data")
    perturbed: dict[str, list[NDArray[np.int64]]] = {}
    if perturb:
        perturbed = perturbed_histories(before_test, test, candidates, params.perturbed_share, params.seed)
    batch, repeated = params.batch_users, sequences.repeated

    def column(ranks: NDArray[np.float64], targets: NDArray[np.int64] = test) -> pl.Series:
        values = np.full(sequences.user_count, np.nan)
        values[targets != NO_TARGET] = ranks
        return pl.Series(values).fill_nan(None)

    known = candidates if validation_candidates is None else validation_candidates
    training, validation = sequences.validation_histories(), sequences.validation
    ranks = rank_targets(scorer, training, validation, known, batch, repeated=repeated)  # [U']
    ranks[halves(len(ranks), train_seed)[0]] = np.nan
    columns = {
        "validation": column(ranks, validation),
        "test": column(rank_targets(scorer, before_test, test, candidates, batch, repeated=repeated)),
    }
    for name, histories in perturbed.items():
        columns[name] = column(
            rank_targets(scorer, histories, test, candidates, batch, before_test, repeated=repeated)
        )
    users = pl.Series("user", np.arange(sequences.user_count))
    empty = dict.fromkeys(PERTURBED)
    return pl.DataFrame({"user": users, **empty, **columns, **_groups(sequences, len(candidates))}, SCHEMA)


def _groups(sequences: Sequences, item_count: int) -> dict[str, pl.Series]:
    """Return the group of each user in each slice, by name; null without a test target."""
    users = np.flatnonzero(sequences.test != NO_TARGET)  # [U']
    popularity = popularity_groups(sequences.training_counts(item_count))[sequences.test[users]]  # [U']
    histories = sequences.test_histories()
    seen = [sequences.test[user] in histories[user] for user in users]
    groups = {
        "history": history_groups(sequences.test_length[users]),
        "popularity": popularity,
        "target": np.array(seen).astype(int),
    }
    rows = pl.DataFrame({"user": np.arange(sequences.user_count)})
    table = pl.DataFrame(
        {"user": users, **{name: np.array(GROUPS[name])[group] for name, group in groups.items()}}
    )
    return rows.join(table, on="user", how="left", maintain_order="left").drop("user").to_dict()
