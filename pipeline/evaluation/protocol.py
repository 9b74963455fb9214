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
    perturb: bool = True,
) -> pl.DataFrame:
    """Rank the whole catalogue for every user, once per target and history.

    Validation ranks are kept for the users from whom no fusion learns, whatever the variant: both are measured on the
    same users, and neither on targets that it was fitted to.

    At test time the validation item belongs to the history. What is in the true history is not ranked, whether or
    not a perturbed one names it; nor is what a perturbed history names.

    Args:
        scorer: the variant.
        sequences: the data and its split.
        candidates: bool [n], items that may be ranked.
        params: section `evaluate`.
        train_seed: `train.seed` of the model, which draws the users from whom a fusion learns.
        perturb: rank after perturbed histories too; if not, their columns are null.

    Returns:
        One row per user, columns as in `ranks.SCHEMA`.

    Raises:
        DataError: no user has a target, or a history holds the target.
        NumericalError: a score is NaN.
    """
    test, before_test = sequences.test, sequences.test_histories()
    users = np.flatnonzero(test != NO_TARGET)
    if not len(users):
        raise DataError("no user has a target, so there is nothing to evaluate", "split", "check the data")
    perturbed: dict[str, list[NDArray[np.int64]]] = {}
    if perturb:
        perturbed = perturbed_histories(before_test, test, candidates, params.perturbed_share, params.seed)

    def ranks(
        histories: list[NDArray[np.int64]],
        targets: NDArray[np.int64] = test,
        seen: list[NDArray[np.int64]] | None = None,
    ) -> NDArray[np.float64]:
        return rank_targets(scorer, histories, targets, candidates, params.batch_users, seen)  # [U']

    validation = ranks(sequences.validation_histories(), sequences.validation)  # [U']
    learned_from, _ = halves(len(users), train_seed)
    validation[learned_from] = np.nan
    table = pl.DataFrame(
        {
            "user": users,
            "validation": validation,
            "test": ranks(before_test),
            **dict.fromkeys(PERTURBED),
            **{name: ranks(histories, seen=before_test) for name, histories in perturbed.items()},
            **_groups(sequences, users, len(candidates)),
        },
        SCHEMA,
    ).with_columns(pl.col("validation").fill_nan(None))
    everyone = pl.DataFrame({"user": np.arange(sequences.user_count)}, {"user": pl.Int32})
    return everyone.join(table, on="user", how="left", maintain_order="left")


def _groups(sequences: Sequences, users: NDArray[np.int64], item_count: int) -> dict[str, list[str]]:
    """Return the name of each user's group in each slice."""
    lengths = sequences.train_length[users] + 1  # [U'], at test time
    popularity = popularity_groups(sequences.training_counts(item_count))[sequences.test[users]]  # [U']
    groups = {"history": history_groups(lengths), "popularity": popularity}
    return {name: [GROUPS[name][group] for group in groups[name]] for name in GROUPS}
