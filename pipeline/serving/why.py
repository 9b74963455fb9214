"""Why the `rag` variant recommends an item: the parts of the fusion's mixture, before its correction."""

from collections.abc import Sequence

import numpy as np

from ..core.errors import ParamsError
from ..model.scorer import Scored
from ..rag.trends import taken
from .answers import Evidence, Match, Why
from .catalogue import Catalogue

MODEL = "model"
NEAREST = 2  # matches of a source that its reason names


def explain(
    scored: Scored, place: int, row: int, sources: list[str], catalogue: Catalogue, user_ids: Sequence[str]
) -> Why:
    """Return why the item in a row has its score, for the user at `place` of a batch of fused scores.

    `sources` are the names of the fusion's sources, in order; `user_ids` are by user row. Raises ``ParamsError`` if the
    scores are not fused.
    """
    if (mixture := scored.mixture) is None:
        what = "the hierarchical variant retrieves nothing, so it cannot say why"
        raise ParamsError(what, remedy="take the rag variant")
    trust = dict(zip([MODEL, *sources], mixture.shares[place].tolist(), strict=True))
    parts = {MODEL: trust[MODEL] * float(mixture.model[place, row].exp())}
    evidence = []
    for source, found, weights in zip(sources, scored.retrieved, mixture.weights, strict=True):
        weight = weights[place].numpy()  # [K]
        at = np.flatnonzero(found.items[place] == row)
        at = at[np.argsort(-weight[at], kind="stable")]
        if not len(at):
            continue
        origins: list[int] = found.origins[place, at].tolist()
        users = source == "next_items"
        ids = [user_ids[origin] if users else catalogue[origin].item_id for origin in origins]
        names = [f"user {user_ids[origin]}" if users else catalogue[origin].title for origin in origins]
        similarities, ages = found.similarities[place, at].tolist(), found.ages[at].astype(int).tolist()
        matches = tuple(map(Match, ids, names, similarities, ages))
        share = float(weight[at].sum())
        parts[source] = trust[source] * share
        evidence.append(Evidence(source, share, matches, _because(source, matches)))
    whole = sum(parts.values())
    return Why({name: parts.get(name, 0.0) / whole for name in trust}, trust, tuple(evidence))


def _because(source: str, matches: Sequence[Match]) -> str:
    if source == "history":
        return "taken before" + (f" {len(matches)} times" if len(matches) > 1 else "")
    if source == "trending":
        times = round(taken(matches[0].similarity))
        return f"popular lately, taken {times} time" + "s" * (times != 1)
    if source == "co_occurring":
        return f"often taken with {matches[0].name}"
    similarities = {match.name: match.similarity for match in reversed(matches)}  # of the first match of each name
    names = list(dict.fromkeys(match.name for match in matches))
    nearest = ", ".join(f"{name} ({similarities[name]:.2f})" for name in names[:NEAREST])
    more = f" and {len(names) - NEAREST} more" if len(names) > NEAREST else ""
    return f"{'like' if source == 'items' else 'taken by'} {nearest}{more}"
