"""The model's state after every training prefix: what the datastore remembers and fusion learns from."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from ..data.sequences import Sequences, pad_histories
from ..model.ensemble import UserModel


@dataclass(frozen=True)
class Prefixes:
    """Training prefixes that have a next training item, in order of (user, position).

    Attributes:
        states: float32 [N, D], the user after the prefix.
        next_items: int64 [N], item rows.
        users: int64 [N], user rows.
        positions: int64 [N], position of the next item in its user's sequence; the prefix is what lies before.
    """

    states: NDArray[np.float32]
    next_items: NDArray[np.int64]
    users: NDArray[np.int64]
    positions: NDArray[np.int64]


def prefix_states(model: UserModel, sequences: Sequences, batch_windows: int) -> Prefixes:
    """Compute the state after every training prefix from the latest items, as many as the model reads.

    Long sequences are read in windows that overlap by half; a state comes from the window in which it has the
    longest context, so none but a sequence's first has less than half a window.
    """
    history = model.history
    windows = [
        (user, start, first, stop)
        for user in range(sequences.user_count)
        for start, first, stop in _windows(len(sequences.training_items(user)) - 1, history)
    ]
    owners = np.concatenate([np.full(stop - first, user) for user, _, first, stop in windows])
    positions = np.concatenate([np.arange(first, stop) for _, _, first, stop in windows]) + 1
    offsets = np.concatenate([[0], np.cumsum([stop - first for _, _, first, stop in windows])])
    states = np.empty((len(owners), model.width), np.float32)
    by_length = np.argsort([stop - start for _, start, _, stop in windows], kind="stable")
    model.eval()
    for begin in tqdm(
        range(0, len(by_length), batch_windows), desc="prefixes", unit="batch", disable=None, leave=False
    ):
        batch = by_length[begin : begin + batch_windows]
        read = [sequences.training_items(windows[index][0])[slice(*windows[index][1::2])] for index in batch]
        rows, _ = pad_histories(read, history)
        with torch.inference_mode():
            users = model(torch.from_numpy(rows)).numpy()  # [B, T, D]
        for index, user in zip(batch, users, strict=True):
            _, start, first, stop = windows[index]
            states[offsets[index] : offsets[index + 1]] = user[first - start : stop - start]
    next_items = sequences.items[sequences.offsets[owners] + positions]
    return Prefixes(states, next_items, owners, positions)


def _windows(length: int, history: int) -> list[tuple[int, int, int]]:
    """Cut `length` items that are read into (start, first, stop): read [start, stop), keep [first, stop)."""
    if length < 1:
        return []
    stride = max(1, history // 2)
    windows = [(0, 0, min(history, length))]
    while (first := windows[-1][2]) < length:
        stop = min(first + stride, length)
        windows.append((stop - history, first, stop))
    return windows
