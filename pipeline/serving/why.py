"""Why the `rag` variant recommends an item: the parts of the fusion's mixture."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..core.errors import ParamsError
from ..model.scorer import Scored
from .answers import Evidence, Match, Why
from .catalogue import Catalogue

MODEL = "model"
NEAREST = 2
"""Matches of a source that its reason names."""


class Explainer:
    """Splits fused scores into the contributions of the model and the sources.

    Args:
        sources: names of the fusion's sources, in order.
        catalogue: names of the items.
        user_ids: names of the users, by row.
    """

    def __init__(self, sources: Sequence[str], catalogue: Catalogue, user_ids: Sequence[str]) -> None:
        self._sources, self._catalogue, self._user_ids = sources, catalogue, user_ids

    def explain(self, scored: Scored, place: int, rows: Sequence[int]) -> list[Why]:
        """Return why the items `rows` have their scores, for the user at `place` of a batch of fused scores.

        Raises:
            ParamsError: the scores are not fused.
        """
        if (mixture := scored.mixture) is None:
            what = "the hierarchical variant retrieves nothing, so it cannot say why"
            raise ParamsError(what, remedy="take the rag variant")
        shares, model = mixture.shares[place], mixture.model[place].exp()  # [S + 1], [n]
        weights = [weight[place].numpy() for weight in mixture.weights]  # S times [K]
        trust = dict(zip([MODEL, *self._sources], shares.tolist(), strict=True))
        reasons = []
        for row in rows:
            evidence = self._evidence(scored, place, row, weights)
            parts = {one.source: trust[one.source] * one.share for one in evidence}
            parts = {MODEL: trust[MODEL] * float(model[row])} | parts
            whole = sum(parts.values())
            parts = {name: parts.get(name, 0.0) / whole for name in trust}
            reasons.append(Why(parts, trust, tuple(evidence)))
        return reasons

    def _evidence(
        self, scored: Scored, place: int, row: int, weights: list[NDArray[np.floating]]
    ) -> list[Evidence]:
        evidence = []
        for source, found, weight in zip(self._sources, scored.retrieved, weights, strict=True):
            at = np.flatnonzero(found.items[place] == row)
            at = at[np.argsort(-weight[at], kind="stable")]
            matches = [
                self._match(source, *values)
                for values in zip(
                    found.origins[place, at].tolist(),
                    found.similarities[place, at].tolist(),
                    found.ages[at].astype(int).tolist(),
                    strict=True,
                )
            ]
            if matches:
                share = float(weight[at].sum())
                evidence.append(Evidence(source, share, tuple(matches), _because(source, matches)))
        return evidence

    def _match(self, source: str, origin: int, similarity: float, age: int) -> Match:
        if source != "next_items":
            item = self._catalogue[origin]
            return Match(item.item_id, item.title, similarity, age)
        user_id = self._user_ids[origin]
        return Match(user_id, f"user {user_id}", similarity, age)


def _because(source: str, matches: Sequence[Match]) -> str:
    if source == "history":
        return "taken before" + (f" {len(matches)} times" if len(matches) > 1 else "")
    if source == "co_occurring":
        return f"often taken with {matches[0].name}"
    nearest = ", ".join(f"{match.name} ({match.similarity:.2f})" for match in matches[:NEAREST])
    more = len(matches) - NEAREST
    return f"{'like' if source == 'items' else 'taken by'} {nearest}" + (
        f" and {more} more" if more > 0 else ""
    )
