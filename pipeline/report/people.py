"""A few users: their history, the recommendations of both variants, and the reasons."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..core.sequences import NO_TARGET, Sequences
from ..model.scorer import Scorer
from ..ranking.ranking import top_items
from ..serving.answers import Evidence, Why
from ..serving.catalogue import Catalogue
from ..serving.why import explain

PLACES = (0.1, 0.4, 0.7, 0.95)  # quantiles of the history length at which users are chosen
RECENT = 15
RECOMMENDED = 10


@dataclass(frozen=True)
class Pick:
    """A recommended item: its name, whether it is the target, and for variant rag why it is recommended."""

    name: str
    hit: bool
    why: Why | None

    @property
    def reasons(self) -> str:
        """The evidence in words."""
        return "; ".join(map(_reason, self.why.evidence)) if self.why else ""


@dataclass(frozen=True)
class Person:
    """A test user, and the name of the target."""

    user_id: str
    length: int  # items in the history
    history: list[str]  # names of the latest items, the last one first
    target: str
    picks: dict[str, list[Pick]]  # recommendations of each variant, best first
    ranks: dict[str, int | None]  # of the target by each variant; None if it was not ranked
    trust: Mapping[str, float]  # weights of the model and of each source in the fusion


def people(
    sequences: Sequences, user_ids: Sequence[str], catalogue: Catalogue, scorers: Mapping[str, Scorer]
) -> list[Person]:
    """Return users chosen by the length of their history only, and so not by their results.

    `user_ids` are by user row, `scorers` by variant.
    """
    histories = sequences.test_histories()
    rows = np.flatnonzero(sequences.test != NO_TARGET)
    by_length = rows[np.argsort([len(histories[row]) for row in rows], kind="stable")]
    found = []
    for row in dict.fromkeys(int(by_length[int(place * len(rows))]) for place in PLACES):
        history, target, user = histories[row], int(sequences.test[row]), int(sequences.owners[row])
        picks: dict[str, list[Pick]] = {}
        ranks: dict[str, int | None] = {}
        trust: Mapping[str, float] = {}
        for name, scorer in scorers.items():
            scored = scorer.score([history], np.array([user]))
            (top,) = top_items(scored.scores, scored.scores == -np.inf, len(catalogue))
            order: list[int] = top[top >= 0].tolist()
            ranks[name] = order.index(target) + 1 if target in order else None
            picks[name] = []
            for item in order[:RECOMMENDED]:
                why = None
                if name == "rag":
                    why = explain(scored, 0, item, list(scorer.sources), catalogue, user_ids)
                    trust = why.trust
                picks[name].append(Pick(catalogue[item].title, item == target, why))
        recent = [catalogue[row].title for row in history[::-1][:RECENT]]
        title = catalogue[target].title
        found.append(Person(user_ids[user], len(history), recent, title, picks, ranks, trust))
    return found


def _reason(evidence: Evidence) -> str:
    """Say why a source recommends an item. The page names no other user, and only the nearest of the similar items."""
    matches = evidence.matches
    if evidence.source == "items":
        return f"like {matches[0].name} ({matches[0].similarity:.2f})"
    if evidence.source != "next_items":
        return evidence.because
    others = len({match.id for match in matches})
    when = "about then" if any(match.age for match in matches) else "next"
    users = "1 similar user" if others == 1 else f"{others:,} similar users"
    return f"chosen {when} by {users} (up to {max(match.similarity for match in matches):.2f})"
