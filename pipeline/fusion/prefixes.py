"""User states after training prefixes: the entries of the datastore."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray

from ..core.progress import track
from ..core.sequences import Sequences
from ..model.ensemble import UserModel
from ..rag.datastore import Datastore
from ..rag.params import FusionParams

TOKENS = 4096  # items of a batch, padding included
STEP = 16  # windows are padded to a multiple of so many items, at most to the longest window


@dataclass(frozen=True)
class Prefixes:
    """Training prefixes that have a next training item, ordered by user and position."""

    states: NDArray[np.float32]  # [N, D], user state after the prefix
    next_items: NDArray[np.int64]  # [N], item rows
    users: NDArray[np.int64]  # [N], user rows
    positions: NDArray[np.int64]  # [N], of the next item in the user's history: the prefix's length


def remember(model: UserModel, sequences: Sequences, params: FusionParams) -> Datastore | None:
    """Return the datastore of training prefixes; None where `params` names no source `next_items`.

    If there are more than `params.prefixes`, whole users are sampled with the model's seed until it is reached.
    """
    if "next_items" not in params.sources:
        return None
    counts = (sequences.train_length - 1).clip(min=0)  # [U]
    order = np.random.default_rng([model.params.seed, 2]).permutation(len(counts))
    before = np.cumsum(counts[order]) - counts[order]  # [U], prefixes of the users drawn earlier
    skipped = np.zeros_like(counts)
    left_out = order[before >= (params.prefixes or np.inf)]
    skipped[left_out] = counts[left_out]
    prefixes = prefix_states(model, sequences, skipped)
    return Datastore.of(prefixes.states, prefixes.next_items, prefixes.users, params)


def prefix_states(model: UserModel, sequences: Sequences, skipped: NDArray[np.int64] | None = None) -> Prefixes:
    """Compute the state after every training prefix.

    Long histories are read in windows that overlap by half. Each state comes from the window in which it has the
    longest context: at least half a window, or the whole prefix.

    A state does not depend on other users, to the last bit on one machine: the length of its window alone decides the
    shape of the batch, and matrix products of one shape sum in one order. So the states of a user whose history has
    grown can join the old states of other users (`unchanged_prefixes`). Of each user, the `skipped` first prefixes,
    int64 [U], are left out; None: all are computed.
    """
    history = model.params.history
    skipped = np.zeros(sequences.user_count, np.int64) if skipped is None else skipped
    windows = [
        (user, start, first, stop)
        for user in range(sequences.user_count)
        for start, first, stop in _windows(len(sequences.training_items(user)) - 1, history)
        if first >= skipped[user]
    ]
    table = np.array(windows, np.int64).reshape(-1, 4)  # [W, 4]
    counts = table[:, 3] - table[:, 2]  # [W]
    users = np.repeat(table[:, 0], counts)  # [N]
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    positions = np.arange(len(users)) + np.repeat(table[:, 2] - offsets[:-1], counts) + 1  # [N]
    states = np.empty((len(users), model.width), np.float32)
    lengths = table[:, 3] - table[:, 1]  # [W], items that are read
    padded = np.minimum(-(-lengths // STEP) * STEP, max(history, 1))  # [W]
    model.eval()
    with track(total=len(windows), desc="prefixes", unit="window", leave=False) as progress:
        for length in np.unique(padded).tolist():
            same, size = np.flatnonzero(padded == length), max(1, TOKENS // length)
            for begin in range(0, len(same), size):
                batch = same[begin : begin + size]
                rows = np.zeros((size, length), np.int64)  # the rest of the last batch is padding too
                gaps = np.zeros_like(rows) if model.params.time == "gaps" else None
                for place, (user, start, _, stop) in enumerate(table[batch]):
                    read = slice(*(sequences.offsets[user] + (start, stop)))
                    rows[place, : stop - start] = sequences.items[read]
                    if gaps is not None:
                        gaps[place, : stop - start] = sequences.gaps[read]
                states_read = _read(model, rows, gaps)  # [B, T, D]
                for index, window_states in zip(batch, states_read, strict=False):
                    _, start, first, stop = table[index]
                    states[offsets[index] : offsets[index + 1]] = window_states[first - start : stop - start]
                progress.update(len(batch))
    next_items = sequences.items[sequences.offsets[users] + positions]
    return Prefixes(states, next_items, users, positions)


def unchanged_prefixes(
    before: NDArray[np.int64], after: NDArray[np.int64], same: NDArray[np.int64], history: int
) -> NDArray[np.int64]:
    """Return how many first prefixes of each user keep their states as histories grow, int64 [U].

    A window, of at most `history` items, that was not full is read again: it is longer now, or begins later.

    Args:
        before, after: int64 [U], the number of prefixes whose states are known, and of prefixes now.
        same: int64 [U], the number of first items that have not changed.
    """
    common = np.minimum(np.minimum(before, after), same)  # [U]
    full = np.where(common < history, 0, common - (common - history) % _stride(history))  # [U]
    return np.where((before == after) & (same >= after), after, full)


@torch.inference_mode()
def _read(model: UserModel, rows: NDArray[np.int64], gaps: NDArray[np.int64] | None) -> NDArray[np.float32]:
    """Return the states after each item of windows [B, T], float32 [B, T, D]; all shapes depend on [B, T] alone."""
    read, intervals = torch.from_numpy(rows), None if gaps is None else torch.from_numpy(gaps)  # [B, T]
    parts = []
    for member in model.members:
        inputs = member.norm(member.input(member.items.vectors(read.flatten())))  # [B * T, D]
        states = member.read(member.with_gaps(inputs.view(*read.shape, -1), intervals))  # [B, T, D]
        parts.append(member.session_start_state(states))
    return torch.cat(parts, -1).numpy()


def _stride(history: int) -> int:
    return max(1, history // 2)


def _windows(length: int, history: int) -> list[tuple[int, int, int]]:
    """Cut `length` items into windows (start, first, stop): read [start, stop), keep the states of [first, stop)."""
    firsts = [0, *range(history, length, _stride(history))] if length > 0 else []
    return [(max(0, stop - history), first, stop) for first, stop in pairwise([*firsts, length])]
