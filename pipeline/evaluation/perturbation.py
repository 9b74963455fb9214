"""Histories with some of their items dropped or replaced, to measure how robust a recommender is."""

import numpy as np
from numpy.typing import NDArray

from ..data.sequences import NO_TARGET


def perturbed_histories(
    histories: list[NDArray[np.int64]],
    targets: NDArray[np.int64],
    candidates: NDArray[np.bool_],
    share: float,
    seed: int,
) -> dict[str, list[NDArray[np.int64]]]:
    """Return U histories with a share of their items, in [0, 1), `dropped` at random, and `replaced` at these places.

    Remaining items keep their order, and at least one remains. Replacements are distinct candidates, neither in the
    history nor the target; if there are too few, fewer items are replaced. The randomness of a user comes from the seed
    and his row alone, so every variant reads the same histories.

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
