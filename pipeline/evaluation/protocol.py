"""The evaluation protocol: the ranks of validation and test targets, and of test targets after perturbed histories."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ..core.errors import DataError, ParamsError
from ..core.sequences import NO_TARGET, Sequences, split_users
from ..ranking.evaluator import HistoryScorer, rank_targets
from .lists import TopLists
from .params import EvaluateParams
from .ranks import GROUPS, PERTURBED, SCHEMA, history_groups, popularity_groups

Histories = list[NDArray[np.int64]]


def evaluate(
    scorer: HistoryScorer,
    sequences: Sequences,
    candidates: NDArray[np.bool_],
    params: EvaluateParams,
    validation_candidates: NDArray[np.bool_] | None = None,
    perturb: bool = True,
    lists: TopLists | None = None,
    validating: HistoryScorer | None = None,
) -> pl.DataFrame:
    """Rank each target in the full catalogue, for all users or for `params.users` of them.

    Validation uses only one half of the users. So both variants are measured on the same users, and the fusion of
    `validating`, which learned from the other half, is never measured on its training targets. The test targets of a
    sample of the users are also ranked after perturbed histories.

    The history of the test target holds all items before the cut of the test, including the validation item. Unless
    users have items twice, items of the true history and of the perturbed history are not ranked.

    Args:
        candidates: bool [n], items that may be ranked.
        validation_candidates: bool [n], items that may be ranked for the validation; None: `candidates`.
        perturb: rank after perturbed histories too; if not, their columns are null.
        lists: of this scorer and these candidates; it keeps the best items of each test history.
        validating: ranks the validation targets; None: the scorer.

    Returns:
        A row for each target (without any, for the user); columns as in `ranks.SCHEMA`.

    Raises ``DataError`` if no user has a target.
    """
    having = np.flatnonzero(sequences.validation != NO_TARGET)
    measured = having[split_users(sequences.owners[having])[1]]
    sequences = sequences.with_targets_of(params.users, params.seed)
    test, before_test = sequences.test, sequences.test_histories()
    if not (test != NO_TARGET).any():
        raise DataError("no user has a target, so there is nothing to evaluate", "split", "check the data")
    held_out = np.full_like(sequences.validation, NO_TARGET)
    held_out[measured] = sequences.validation[measured]
    if len(measured) and not (held_out != NO_TARGET).any():
        what = f"none of the {params.users} users that are drawn is in the half whose validation targets are ranked"
        raise ParamsError(what, "params.yaml, key evaluate.users", "raise it")

    def ranks(
        by: HistoryScorer,
        targets: NDArray[np.int64],
        histories: Histories,
        ranked: NDArray[np.bool_] = candidates,
        seen: Histories | None = None,
    ) -> pl.Series:
        more = params.batch_users, seen, sequences.repeated, sequences.owners
        values = np.full(len(targets), np.nan)
        values[targets != NO_TARGET] = rank_targets(by, histories, targets, ranked, *more)
        return pl.Series(values).fill_nan(None)

    known = candidates if validation_candidates is None else validation_candidates
    columns = {
        "validation": ranks(validating or scorer, held_out, sequences.validation_histories(), known),
        "test": ranks(lists or scorer, test, before_test),
        **_groups(sequences, len(candidates)),
    }
    if perturb:
        users = np.unique(sequences.owners[test != NO_TARGET])
        users = np.random.default_rng(params.seed).permutation(users)[: params.perturbed_users]
        some = np.where(np.isin(sequences.owners, users), test, NO_TARGET)
        perturbed = perturbed_histories(before_test, some, candidates, params.perturbed_share, params.seed)
        columns |= {name: ranks(scorer, some, read, seen=before_test) for name, read in perturbed.items()}
    return pl.DataFrame({"user": sequences.owners, **dict.fromkeys(PERTURBED), **columns}, SCHEMA)


def _groups(sequences: Sequences, item_count: int) -> dict[str, list[str | None]]:
    """Return the group of each row of targets in each slice, by name; null without a test target."""
    rows = np.flatnonzero(sequences.test != NO_TARGET)  # [R']
    before = sequences.test_histories()
    groups = {
        "history": history_groups(np.array([len(before[row]) for row in rows])),
        "popularity": popularity_groups(sequences.training_counts(item_count))[sequences.test[rows]],
        "target": np.array([int(sequences.test[row] in before[row]) for row in rows]),
    }
    names = {name: np.full(len(before), None) for name in groups}
    for name, group in groups.items():
        names[name][rows] = np.array(GROUPS[name])[group]
    return {name: column.tolist() for name, column in names.items()}


def perturbed_histories(
    histories: Histories, targets: NDArray[np.int64], candidates: NDArray[np.bool_], share: float, seed: int
) -> dict[str, Histories]:
    """Return U histories with a share of their items, in [0, 1), `dropped` at random, and `replaced` at these places.

    Remaining items keep their order, and at least one remains. Replacements are distinct candidates, neither in the
    history nor the target; if there are too few, fewer items are replaced. The randomness of a user comes from the seed
    and the row alone, so every variant reads the same histories.

    Args:
        histories: U histories, item rows, oldest first.
        targets: int64 [U], item rows, or `NO_TARGET` for a user whose history stays as it is.
        candidates: bool [n], items that may be ranked.
    """
    dropped, replaced = histories.copy(), histories.copy()
    for user in np.flatnonzero(targets != NO_TARGET).tolist():
        history = histories[user]
        generator = np.random.default_rng([seed, user])
        count = min(round(share * len(history)), max(0, len(history) - 1))
        places = generator.permutation(len(history))[:count]
        dropped[user], replaced[user] = np.delete(history, places), history.copy()
        other = candidates.copy()
        other[[*history, targets[user]]] = False
        new = generator.permutation(np.flatnonzero(other))[:count]
        replaced[user][places[: len(new)]] = new
    return {"dropped": dropped, "replaced": replaced}
