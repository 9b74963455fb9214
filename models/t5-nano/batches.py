"""Batches of one kind of text and of like length."""

from collections.abc import Sequence

import numpy as np

GROUPS = {"film": 0, "phrase": 1, "gloss": 2, "passage": 3, "abstract": 3}
POOL = {
    0: 3,
    1: 8,
    2: 8,
    3: 8,
}  # batches that are sorted by length together: few, where the variety matters most


def epoch(
    groups: np.ndarray,
    lengths: np.ndarray,
    short_share: float,
    most_texts: int,
    most_tokens: int,
    rng: np.random.Generator,
) -> list[np.ndarray]:
    """Cut one pass over the texts into batches, in random order.

    Batches hold one group of texts, because the losses compare centred vectors: across groups, the kind of
    text would explain most of the similarities.

    Args:
        groups: int [n], group of each text.
        lengths: int [n], tokens of each text.
        short_share: the share of the short texts (all groups but passages) that a pass takes, at random.
        most_texts: texts of a batch, at most.
        most_tokens: padded tokens of a batch, at most.
        rng: the source of randomness.

    Returns:
        rows of each batch; no text is in two.
    """
    batches = []
    for group, count in POOL.items():
        rows = rng.permutation(np.flatnonzero(groups == group))
        if group != GROUPS["passage"]:
            rows = rows[: round(short_share * len(rows))]
        size = count * most_texts
        for start in range(0, len(rows), size):
            pool = rows[start : start + size]
            batches += cut(pool[np.argsort(lengths[pool], kind="stable")], lengths, most_texts, most_tokens)
    return [batches[i] for i in rng.permutation(len(batches))]


def cut(rows: np.ndarray, lengths: np.ndarray, most_texts: int, most_tokens: int) -> Sequence[np.ndarray]:
    """Cut rows sorted by length into batches within both limits."""
    batches, start = [], 0
    for stop in range(1, len(rows) + 1):
        full = stop == len(rows) or stop + 1 - start > most_texts
        if full or (stop + 1 - start) * lengths[rows[stop]] > most_tokens:
            batches.append(rows[start:stop])
            start = stop
    return batches


def by_length(lengths: Sequence[int], most_tokens: int) -> Sequence[np.ndarray]:
    """Cut all rows into batches of like length, shortest first, of at most so many padded tokens."""
    sizes = np.array(lengths, np.int64)
    return cut(np.argsort(sizes, kind="stable"), sizes, max(1, len(sizes)), most_tokens)
