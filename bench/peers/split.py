"""Export the split for the peers as CSV: training items and users. Test targets are not exported for training."""

from pathlib import Path

import numpy as np
import polars as pl
from hierrec.core.sequences import NO_TARGET, Sequences
from hierrec.ranking.metrics import metrics_from_ranks
from numpy.typing import NDArray


def export_split(sequences: Sequences, users: NDArray[np.int64], folder: Path) -> None:
    """Write `training.csv` (user, item, position: every user's training items in order) and `users.csv` (user).

    Args:
        sequences: the data.
        users: int64 [V], users to rank for.
        folder: the output folder.
    """
    _write_sequences(sequences.training_histories(), folder / "training.csv")
    pl.DataFrame({"user": users}).write_csv(folder / "users.csv")


def export_tests(sequences: Sequences, folder: Path) -> None:
    """Write `training.csv`, here every user's history before the test target, and `targets.csv` (user, item).

    Only for timing the evaluation, because the files hold the test targets.
    """
    users = np.flatnonzero(sequences.test != NO_TARGET)
    _write_sequences(sequences.test_histories(), folder / "training.csv")
    pl.DataFrame({"user": users, "item": sequences.test[users]}).write_csv(folder / "targets.csv")


def export_fit(sequences: Sequences, folder: Path) -> None:
    """Write the files for a training with early stopping, without test targets.

    `training.csv` as in `export_split`; `validation.csv` (user, item: the validation targets); `histories.csv`, in the
    form of `training.csv`, with every user's history before the test target.
    """
    users = np.flatnonzero(sequences.validation != NO_TARGET)
    _write_sequences(sequences.training_histories(), folder / "training.csv")
    _write_sequences(sequences.test_histories(), folder / "histories.csv")
    pl.DataFrame({"user": users, "item": sequences.validation[users]}).write_csv(folder / "validation.csv")


def validation_users(sequences: Sequences, count: int) -> NDArray[np.int64]:
    """Return up to `count` users with a validation target, int64, ascending, drawn at random with a fixed seed."""
    users = np.flatnonzero(sequences.validation != NO_TARGET)
    chosen = np.random.default_rng(1).permutation(users)[:count]
    return np.sort(chosen)


def metrics_of(top: NDArray[np.int64], targets: NDArray[np.int64]) -> dict[str, float]:
    """Return our metrics of top-K rankings; a target outside the top K is a miss.

    Args:
        top: int64 [V, K], items of each user, best first; -1: no item.
        targets: int64 [V].
    """
    hits = top == targets[:, None]  # [V, K]
    ranks = np.where(hits.any(1), hits.argmax(1) + 1.0, np.inf)  # [V]
    return metrics_from_ranks(ranks)


def _write_sequences(histories: list[NDArray[np.int64]], path: Path) -> None:
    lengths = [len(history) for history in histories]
    table = pl.DataFrame(
        {
            "user": np.repeat(np.arange(len(histories)), lengths),
            "item": np.concatenate(histories),
            "position": np.concatenate([np.arange(length) for length in lengths]),
        }
    )
    table.write_csv(path)
