"""Rules of a recommendation: which of the ranked items are shown, and how different they are from each other."""

from collections.abc import Sequence
from numbers import Real
from typing import TypedDict

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..core.errors import ParamsError
from ..ranking.ranking import top_items
from .answers import Item
from .catalogue import Catalogue


class Rules(TypedDict, total=False):
    """Rules of a recommendation. They choose among the ranked items: no score and no probability depends on them.

    The exception is `exclude_seen=False` where the model was trained for new items only: then the items of the history
    get scores and probabilities too.

    Keys:
        exclude: items, by id or title, that are not recommended.
        candidates: the only items that may be recommended, by id or title; None (the default): all.
        where: an SQL condition over the columns of the item table, such as `year >= 1990 AND genres LIKE '%Drama%'`.
            A list, such as the genres, is text here, joined by ", ". Unknown (null) is not true.
        exclude_seen: whether the items of the history are left out; None (the default): as the model was trained,
            which is True unless repeats were kept.
        diversity: from 0 (the default: the best scores) to 1. Maximal marginal relevance; see `diverse`.
    """

    exclude: Sequence[str | int | Item] | None
    candidates: Sequence[str | int | Item] | None
    where: str | None
    exclude_seen: bool | None
    diversity: float


class Choice:
    """Chooses among the n items of a catalogue by rules; raises as `Recommender.recommend` does."""

    def __init__(self, rules: Rules, catalogue: Catalogue) -> None:
        if unknown := sorted(set(rules) - set(Rules.__annotations__)):
            raise ParamsError("there is no such rule", unknown[0], f"use one of {', '.join(Rules.__annotations__)}")
        self._catalogue = catalogue
        seen, self._diversity = rules.get("exclude_seen"), rules.get("diversity", 0.0)
        if not (isinstance(self._diversity, Real) and 0 <= self._diversity <= 1):
            raise ParamsError(f"is {self._diversity!r}", "diversity", "choose a number from 0 to 1")
        if not isinstance(seen, bool | np.bool_ | None):
            raise ParamsError(f"is {seen!r}", "exclude_seen", "choose True, False or None")
        self.exclude_seen = None if seen is None else bool(seen)
        candidates = rules.get("candidates")
        allowed = np.full(len(catalogue), candidates is None)
        if candidates is not None:
            allowed[catalogue.rows(candidates, "candidates")] = True
        if (condition := rules.get("where")) is not None:
            if not isinstance(condition, str):
                raise ParamsError(f"is {condition!r}, not a text", "where", "give an SQL condition")
            allowed &= catalogue.where(condition)
        exclude = rules.get("exclude")
        allowed[catalogue.rows(() if exclude is None else exclude, "exclude")] = False
        self._excluded = torch.from_numpy(~allowed)  # bool [n]

    def best(self, scores: Tensor, history: NDArray[np.int64], k: int) -> list[int]:
        """Return the rows of the at most k >= 1 items to recommend, best first.

        `scores` [n] are of all items, -inf for items that may not be recommended; `history` holds item rows.
        """
        scores = scores.masked_fill(self._excluded, -torch.inf)  # [n]
        if self.exclude_seen:
            scores[torch.from_numpy(history)] = -torch.inf
        if self._diversity:
            return diverse(scores.numpy(), self._catalogue.unit_vectors, k, self._diversity).tolist()
        (top,) = top_items(scores[None], scores[None] == -torch.inf, k)
        return top[top >= 0].tolist()


def diverse(scores: NDArray[np.float32], vectors: NDArray[np.float32], k: int, diversity: float) -> NDArray[np.int64]:
    """Return the rows of at most k items by maximal marginal relevance (Carbonell and Goldstein 1998, SIGIR).

    The first item has the best score. Each further item maximises (1 - diversity) * relevance - diversity *
    similarity. Its relevance is its probability relative to the best item's; its similarity is the highest cosine
    with an item chosen before. All items are compared, not a short list; ties go to the better score, then by row.

    `scores`, [n], are logits or log-probabilities; -inf for items that may not be chosen. `vectors`, [n, F], are item
    vectors of norm 1; k is at least 1, the diversity from 0 to 1.
    """
    order = np.argsort(-scores, kind="stable")[: (scores > -np.inf).sum()]  # [m]
    relevance = np.exp(scores[order] - scores[order[:1]])  # [m], from 0 to 1
    nearest = np.full(len(order), -np.inf, np.float32)  # [m], similarity to the chosen items
    value = relevance.copy()  # [m]
    chosen: list[int] = []
    while len(chosen) < min(k, len(order)):
        chosen.append(int(value.argmax()))
        nearest = np.maximum(nearest, (vectors @ vectors[order[chosen[-1]]])[order])
        value = (1 - diversity) * relevance - diversity * nearest
        value[chosen] = -np.inf
    return order[chosen]
