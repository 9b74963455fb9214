"""A rag model over more items and longer histories: residuals and remembered prefixes move to their new rows."""

import shutil
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from ..core.files import CHECKSUMS, seal
from ..core.sequences import Sequences
from ..fusion.prefixes import prefix_states, unchanged_prefixes
from ..model.checkpoint import save_model
from ..model.ensemble import UserModel
from ..model.inputs import Inputs
from ..model.sequence_model import ItemTable
from ..rag.checkpoint import load_rag
from ..rag.datastore import Datastore, earlier_entries
from ..search.index import ItemIndex

Rows = NDArray[np.int64]  # the new row of each old row of items, int64 [n before], or of users, int64 [U before]


def write_grown(
    base: Path, folder: Path, before: Inputs, after: Inputs, index: ItemIndex, items: Rows, users: Rows
) -> int:
    """Write the rag model in `base` for grown data; its weights stay.

    The datastore gets every prefix of `after`, but none of users whose prefixes it left out before. The states of
    prefixes that have not changed are kept.

    `base`, which `save_rag` wrote, and `index` belong to the inputs `before`; the model in `folder` will belong to
    `after`. Returns the number of states that were computed.
    """
    scorer = load_rag(base, before, index, torch.float32)
    model, datastore = scorer.model, scorer.sources.get("next_items")
    _move_items(model, after.frozen, items)
    save_model(folder / "base", model, after.store_hash)
    computed = 0
    if isinstance(datastore, Datastore):
        same = np.zeros(after.sequences.user_count, np.int64)  # [U]
        same[users] = common_items(before.sequences, after.sequences, items, users)
        left_out = np.zeros(after.sequences.user_count, np.bool_)  # [U]
        remembered = np.isin(np.arange(len(users)), datastore.users)  # [U before]
        left_out[users[~remembered & (before.sequences.train_length > 1)]] = True
        grown, computed = _remember(model, datastore, after.sequences, same, users, left_out)
        grown.write(folder / "datastore")
    for path in base.iterdir():
        if path.is_file() and path.name != CHECKSUMS:
            shutil.copy(path, folder / path.name)
    seal(folder)
    return computed


def common_items(before: Sequences, after: Sequences, items: Rows, users: Rows) -> NDArray[np.int64]:
    """Return how many first items, with the gaps before them, each user has in common, int64 [U before]."""
    lengths = np.diff(before.offsets)  # [U]
    owner = np.repeat(np.arange(len(lengths)), lengths)  # [N]
    position = np.arange(len(before.items)) - before.offsets[owner]  # [N]
    place = after.offsets[users[owner]] + position  # [N]
    equal = after.items.take(place, mode="clip") == items[before.items]  # [N]
    if len(before.gaps):
        equal &= after.gaps.take(place, mode="clip") == before.gaps
    differs = ~equal | (place >= after.offsets[users[owner] + 1])  # [N]
    np.minimum.at(lengths, owner[differs], position[differs])
    return lengths


def _move_items(model: UserModel, frozen: NDArray[np.float32], items: Rows) -> None:
    """Give the model the vectors of all items, float32 [n, F]; a new item has residual 0 and key factor 1."""
    for member in model.members:
        old = member.items
        table = ItemTable(frozen, old.residual.shape[1], old.residual_dropout)
        table.residual.data[torch.from_numpy(items)] = old.residual.data
        member.items = table.eval()
        scale = torch.ones(len(table)).index_copy(0, torch.from_numpy(items), member.key_scale)
        member.key_scale = scale  # [n]


def _remember(
    model: UserModel,
    known: Datastore,
    sequences: Sequences,
    same: NDArray[np.int64],  # [U], first items of each user that have not changed
    users: Rows,
    left_out: NDArray[np.bool_],  # [U], users who are not remembered
) -> tuple[Datastore, int]:
    """Return the datastore of all prefixes but those of users left out, and the number of states that were computed."""
    counts = np.bincount(known.users, minlength=len(users))  # [U before]
    starts, before = np.zeros((2, sequences.user_count), np.int64)  # [U] each
    starts[users], before[users] = np.cumsum(counts) - counts, counts
    every = np.diff(sequences.offsets) - 1  # [U]
    after = np.where(left_out, 0, every)  # [U]
    kept = unchanged_prefixes(before, after, same, model.params.history)  # [U]
    fresh = prefix_states(model, sequences, np.where(left_out, every, kept))
    owner = np.repeat(np.arange(sequences.user_count), after)  # [N]
    position = earlier_entries(owner)  # [N]
    old = position < kept[owner]  # [N]
    keys = np.empty((len(owner), model.width), np.float16)  # [N, D]
    keys[old] = known.keys[(starts[owner] + position)[old]]
    keys[~old] = Datastore.of(fresh.states, fresh.next_items, fresh.users, known.lookup).keys
    next_items = sequences.items[sequences.offsets[owner] + position + 1]  # [N]
    return Datastore(keys, next_items, owner, known.lookup), len(fresh.users)
