"""The datastore of all training prefixes: user states after them, and the items that came next."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from ..data.sequences import Sequences, pad_histories
from ..model.ensemble import UserModel
from ..rag.checkpoint import lookup
from ..rag.datastore import Datastore
from ..rag.params import FusionParams


@dataclass(frozen=True)
class Prefixes:
    """Training prefixes that have a next training item, ordered by user and position."""

    states: NDArray[np.float32]  # [N, D], user state after the prefix
    next_items: NDArray[np.int64]  # [N], item rows
    users: NDArray[np.int64]  # [N], user rows
    positions: NDArray[np.int64]  # [N], of the next item in the user's history: the prefix's length


def remember(model: UserModel, sequences: Sequences, params: FusionParams) -> Datastore | None:
    """Return the datastore of every training prefix; None where `params` names no source `next_items`."""
    if "next_items" not in params.sources:
        return None
    prefixes = prefix_states(model, sequences, params.batch_users)
    return Datastore.of(prefixes.states, prefixes.next_items, prefixes.users, lookup(params))


def prefix_states(model: UserModel, sequences: Sequences, batch_windows: int) -> Prefixes:
    """Compute the state after every training prefix.

    Long histories are read in windows that overlap by half. Each state comes from the window in which it has the
    longest context: at least half a window, or the whole prefix.
    """
    history = model.params.history
    windows = [
        (user, start, first, stop)
        for user in range(sequences.user_count)
        for start, first, stop in _windows(len(sequences.training_items(user)) - 1, history)
    ]
    users = np.concatenate([np.full(stop - first, user) for user, _, first, stop in windows])
    positions = np.concatenate([np.arange(first, stop) for _, _, first, stop in windows]) + 1
    offsets = np.concatenate([[0], np.cumsum([stop - first for _, _, first, stop in windows])])
    states = np.empty((len(users), model.width), np.float32)
    by_length = np.argsort([stop - start for _, start, _, stop in windows], kind="stable")
    model.eval()
    starts = range(0, len(by_length), batch_windows)
    for begin in tqdm(starts, desc="prefixes", unit="batch", disable=None, leave=False):
        batch = by_length[begin : begin + batch_windows]
        read = [(sequences.offsets[windows[index][0]], *windows[index][1::2]) for index in batch]
        places = [slice(first + start, first + stop) for first, start, stop in read]
        rows, _ = pad_histories([sequences.items[place] for place in places], history)
        gaps = None
        if model.params.time == "gaps":
            gaps = torch.from_numpy(
                pad_histories([sequences.gaps[place].astype(np.int64) for place in places], history)[0]
            )  # [B, T]
        with torch.inference_mode():
            read_states = model(torch.from_numpy(rows), gaps).numpy()  # [B, T, D]
        for index, window_states in zip(batch, read_states, strict=True):
            _, start, first, stop = windows[index]
            states[offsets[index] : offsets[index + 1]] = window_states[first - start : stop - start]
    next_items = sequences.items[sequences.offsets[users] + positions]
    return Prefixes(states, next_items, users, positions)


def _windows(length: int, history: int) -> list[tuple[int, int, int]]:
    """Cut `length` items into windows (start, first, stop): read [start, stop), keep the states of [first, stop)."""
    if length < 1:
        return []
    stride = max(1, history // 2)
    windows = [(0, 0, min(history, length))]
    while (first := windows[-1][2]) < length:
        stop = min(first + stride, length)
        windows.append((stop - history, first, stop))
    return windows
