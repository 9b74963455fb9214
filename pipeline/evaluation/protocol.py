"""The evaluation protocol: the ranks of validation and test targets, and of test targets after perturbed histories."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ..core.errors import DataError
from ..data.sequences import NO_TARGET, Sequences, halves
from ..ranking.evaluator import Scorer, rank_targets
from .lists import TopLists
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
    lists: TopLists | None = None,
) -> pl.DataFrame:
    """Rank the whole catalogue for every target, or for the targets of `params.users` users; once per history.

    Validation ranks the targets of the users from whom no fusion learns. So both variants are measured on the same
    users, and no fusion on targets that it learned from. The test targets of a sample of the users are also ranked
    after perturbed histories.

    The history of the test target holds all items before the cut of the test, including the validation item. Unless
    users have items twice, items of the true history and of the perturbed history are not ranked.

    Args:
        scorer: the variant.
        sequences: the data and its split.
        candidates: bool [n], items that may be ranked.
        params: section `evaluate`.
        train_seed: `train.seed` of the model, which draws the users from whom a fusion learns.
        validation_candidates: bool [n], items that may be ranked for the validation; None: `candidates`.
        perturb: rank after perturbed histories too; if not, their columns are null.
        lists: of this scorer and these candidates; it keeps the best items of each test history.

    Returns:
        One row per user, or one per target where users have several; columns as in `ranks.SCHEMA`.

    Raises:
        DataError: no user has a target, or a history holds the target.
        NumericalError: a score is NaN.
    """
    having = np.flatnonzero(sequences.validation != NO_TARGET)
    measured = having[halves(sequences.owners[having], train_seed)[1]]
    sequences = sequences.with_targets_of(params.users, params.seed)
    test, before_test = sequences.test, sequences.test_histories()
    if not (test != NO_TARGET).any():
        raise DataError("no user has a target, so there is nothing to evaluate", "split", "check the data")

    def ranks(
        by: Scorer,
        targets: NDArray[np.int64],
        histories: list[NDArray[np.int64]],
        known: NDArray[np.bool_] | None = None,
        seen: list[NDArray[np.int64]] | None = None,
    ) -> pl.Series:
        values = np.full(len(targets), np.nan)
        values[targets != NO_TARGET] = rank_targets(
            by,
            histories,
            targets,
            candidates if known is None else known,
            params.batch_users,
            seen,
            sequences.repeated,
            sequences.owners,
        )
        return pl.Series(values).fill_nan(None)

    held_out = np.full_like(sequences.validation, NO_TARGET)
    held_out[measured] = sequences.validation[measured]
    columns = {
        "validation": ranks(scorer, held_out, sequences.validation_histories(), validation_candidates),
        "test": ranks(lists or scorer, test, before_test),
    }
    if perturb:
        users = np.unique(sequences.owners[test != NO_TARGET])
        users = np.random.default_rng(params.seed).permutation(users)[: params.perturbed_users]
        some = np.where(np.isin(sequences.owners, users), test, NO_TARGET)
        perturbed = perturbed_histories(before_test, some, candidates, params.perturbed_share, params.seed)
        columns |= {name: ranks(scorer, some, read, seen=before_test) for name, read in perturbed.items()}
    rows = pl.Series("user", sequences.owners)
    empty = dict.fromkeys(PERTURBED)
    return pl.DataFrame({"user": rows, **empty, **columns, **_groups(sequences, len(candidates))}, SCHEMA)


def _groups(sequences: Sequences, item_count: int) -> dict[str, list[str | None]]:
    """Return the group of each row of targets in each slice, by name; null without a test target."""
    rows = np.flatnonzero(sequences.test != NO_TARGET)  # [R']
    targets, before = sequences.test[rows], sequences.test_histories()
    histories = [before[row] for row in rows]
    repeated = [target in history for target, history in zip(targets, histories, strict=True)]
    groups = {
        "history": history_groups(np.array([len(history) for history in histories])),
        "popularity": popularity_groups(sequences.training_counts(item_count))[targets],
        "target": np.array(repeated).astype(int),
    }
    names = {name: np.full(len(before), None) for name in groups}
    for name, group in groups.items():
        names[name][rows] = np.array(GROUPS[name])[group]
    return {name: column.tolist() for name, column in names.items()}
