"""Why the `rag` variant recommends an item: the fusion's mixture, taken apart again."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..rag.fusion import Fusion
from ..rag.rag import as_tensors
from .answers import Evidence, Match, Why
from .catalogue import Catalogue
from .scoring import Scored

MODEL = "model"


class Explainer:
    """Takes fused scores apart.

    Args:
        fusion: that made them.
        sources: names of its sources, in order.
        catalogue: names of the items.
        user_ids: names of the users, by row.
    """

    def __init__(
        self, fusion: Fusion, sources: Sequence[str], catalogue: Catalogue, user_ids: Sequence[str]
    ) -> None:
        self._fusion, self._sources = fusion, sources
        self._catalogue, self._user_ids = catalogue, user_ids

    def explain(self, scored: Scored, place: int, rows: Sequence[int]) -> list[Why]:
        """Return why the items `rows` have their scores, for the user at `place` of the batch."""
        shares, model, weights = _mixture(self._fusion, scored, place)  # [S + 1], [n], S times [K]
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
                evidence.append(Evidence(source, float(weight[at].sum()), tuple(matches)))
        return evidence

    def _match(self, source: str, origin: int, similarity: float, age: int) -> Match:
        if source == "items":
            item = self._catalogue[origin]
            return Match(item.item_id, item.title, similarity, age)
        user_id = self._user_ids[origin]
        return Match(user_id, f"user {user_id}", similarity, age)


def _mixture(fusion: Fusion, scored: Scored, place: int) -> tuple[Tensor, Tensor, list[NDArray[np.floating]]]:
    """Return what the fusion multiplies: shares [S + 1], the model's distribution [n], weights [K] per source."""
    one = slice(place, place + 1)
    model_scores, length = scored.model_scores[one], len(scored.query.histories[place])
    retrieved = [
        as_tensors(found.items[one], found.similarities[one], found.ages, model_scores.dtype)
        for found in scored.retrieved
    ]
    with torch.inference_mode():
        mixture = fusion.mix(model_scores, torch.tensor([length]), retrieved)
    weights = [weights[0].numpy() for weights in mixture.weights]
    return mixture.shares[0], mixture.distributions[0, 0], weights
