"""Cold items: selects a share of the items by hash and removes them from every sequence."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from hierrec.core.sequences import NO_TARGET, Sequences
from numpy.typing import NDArray


@dataclass(frozen=True)
class ColdSplit:
    """The data as if the cold items were new: no user has interacted with one yet.

    Attributes:
        cold: bool [n].
        training: warm items only. Cold validation and test targets are removed.
        targets: per split, int64 [U]: each user's cold target, or `NO_TARGET`.
        histories: per split, U histories before the target, warm items only.
    """

    cold: NDArray[np.bool_]
    training: Sequences
    targets: dict[str, NDArray[np.int64]]
    histories: dict[str, list[NDArray[np.int64]]]


def choose_cold(item_ids: Sequence[str], candidates: NDArray[np.bool_], share: float, seed: int) -> NDArray[np.bool_]:
    """Return which items are cold, bool [n]: candidates whose hash of seed and id falls into the share."""
    hashes = [hashlib.sha256(f"{seed}:{item_id}".encode()).digest()[:8] for item_id in item_ids]
    places = np.array([int.from_bytes(digest) / 2**64 for digest in hashes])  # [n], in [0, 1)
    return (places < share) & candidates


def split_cold(sequences: Sequences, cold: NDArray[np.bool_]) -> ColdSplit:
    """Remove the cold items from the sequences.

    Args:
        sequences: all interactions with their leave-one-out split.
        cold: bool [n].
    """
    training = [_without(items, cold) for items in sequences.training_histories()]
    lengths = np.array([len(items) for items in training], np.int64)
    original = {"validation": sequences.validation, "test": sequences.test}
    cold_targets, warm_targets = {}, {}
    for split, targets in original.items():
        is_cold = (targets != NO_TARGET) & cold[targets]  # NO_TARGET is -1: `cold` of the last item, masked
        cold_targets[split] = np.where(is_cold, targets, NO_TARGET)
        warm_targets[split] = np.where(is_cold, NO_TARGET, targets)
    return ColdSplit(
        cold,
        Sequences(
            items=np.concatenate(training),
            offsets=np.concatenate([[0], np.cumsum(lengths)]),
            train_length=lengths,
            test_length=lengths,
            validation=warm_targets["validation"],
            test=warm_targets["test"],
        ),
        cold_targets,
        {
            "validation": training,
            "test": [_without(items, cold) for items in sequences.test_histories()],
        },
    )


def _without(items: NDArray[np.int64], cold: NDArray[np.bool_]) -> NDArray[np.int64]:
    return items[~cold[items]]
