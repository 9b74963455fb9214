"""A few users: what they chose, what both variants recommend next, and why."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..data.sequences import NO_TARGET, Sequences
from ..model.scorer import Scored, Scorer
from ..serving.answers import Match, Why
from ..serving.catalogue import Catalogue
from ..serving.why import Explainer

PLACES = (0.1, 0.4, 0.7, 0.95)
"""Where the users stand among all users, ordered by the length of their history."""
RECENT = 15
RECOMMENDED = 10


@dataclass(frozen=True)
class Pick:
    """A recommended item: its name, whether it is what came next, and, after retrieval, why it is there."""

    name: str
    hit: bool
    why: str = ""
    parts: Mapping[str, float] | None = None


@dataclass(frozen=True)
class Person:
    """A user of the test.

    Attributes:
        user_id: the id in the data set.
        length: items in the history.
        history: names of the latest, youngest first.
        target: name of the item that came next.
        picks: by variant, its recommendations, best first.
        ranks: by variant, the rank of the target; None where it was not ranked.
        trust: how much the fusion trusts the model and each source here.
    """

    user_id: str
    length: int
    history: list[str]
    target: str
    picks: dict[str, list[Pick]]
    ranks: dict[str, int | None]
    trust: Mapping[str, float]


def people(
    sequences: Sequences,
    user_ids: Sequence[str],
    catalogue: Catalogue,
    scorers: Mapping[str, Scorer],
    explainer: Explainer,
) -> list[Person]:
    """Return users chosen by the length of their history alone, so neither for good nor for bad results.

    Args:
        sequences: the data.
        user_ids: by user row.
        catalogue: the items.
        scorers: by variant; `rag` is explained.
        explainer: of `rag`.
    """
    histories = sequences.test_histories()
    users = np.flatnonzero(sequences.test != NO_TARGET)
    by_length = users[np.argsort([len(histories[user]) for user in users], kind="stable")]
    chosen = dict.fromkeys(int(by_length[int(place * len(users))]) for place in PLACES)
    found = []
    for user in chosen:
        history, target = histories[user], int(sequences.test[user])
        scored = {name: scorer.score([history], np.array([user])) for name, scorer in scorers.items()}
        orders = {name: _order(one) for name, one in scored.items()}
        reasons = explainer.explain(scored["rag"], 0, orders["rag"][:RECOMMENDED])
        why = {row: reason for row, reason in zip(orders["rag"][:RECOMMENDED], reasons, strict=True)}
        found.append(
            Person(
                user_id=user_ids[user],
                length=len(history),
                history=[catalogue[row].title for row in history[::-1][:RECENT].tolist()],
                target=catalogue[target].title,
                picks={
                    name: [
                        _pick(catalogue[row].title, row == target, why[row] if name == "rag" else None)
                        for row in order[:RECOMMENDED]
                    ]
                    for name, order in orders.items()
                },
                ranks={
                    name: order.index(target) + 1 if target in order else None
                    for name, order in orders.items()
                },
                trust=reasons[0].trust if reasons else {},
            )
        )
    return found


def _order(scored: Scored) -> list[int]:
    """Return the rows that may be recommended, best first."""
    scores = scored.scores[0]  # [n]
    order = scores.sort(descending=True, stable=True).indices.tolist()
    return order[: int((scores > -np.inf).sum())]


def _pick(name: str, hit: bool, why: Why | None) -> Pick:
    if why is None:
        return Pick(name, hit)
    words = {"next_items": _next_items, "items": _items}
    return Pick(name, hit, "; ".join(words[one.source](one.matches) for one in why.evidence), why.parts)


def _next_items(matches: Sequence[Match]) -> str:
    """Say how many others chose the item, and how like this user's history theirs was at best."""
    others = len({match.id for match in matches})
    when = "about then" if any(match.age for match in matches) else "next"
    users = "1 similar user" if others == 1 else f"{others:,} similar users"
    return f"chosen {when} by {users} (up to {max(match.similarity for match in matches):.2f})"


def _items(matches: Sequence[Match]) -> str:
    """Say which item of the history the item resembles."""
    return f"like {matches[0].name} ({matches[0].similarity:.2f})"
