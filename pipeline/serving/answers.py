"""What a recommender answers: small frozen records of ids, titles and numbers."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Item:
    """An item as people know it.

    Attributes:
        item_id: its id in the data.
        title: with the year, where one is known.
    """

    item_id: str
    title: str


@dataclass(frozen=True)
class SimilarItem(Item):
    """An item with the cosine similarity of its text vector to that of the item asked for."""

    similarity: float


@dataclass(frozen=True)
class User:
    """A user of the data, with the whole history: the items in order, oldest first."""

    user_id: str
    row: int
    history: tuple[Item, ...]


@dataclass(frozen=True)
class Match:
    """What retrieval found near: another user, who stood where this one stands, or an item of the history.

    Attributes:
        id: of the user or of the item.
        name: `user` with the id, or the item's title.
        similarity: cosine.
        age: how many items later the other user came to the recommended one (0: next, -1: just before), or how many
            items ago the one of the history was (0: the latest).
    """

    id: str
    name: str
    similarity: float
    age: int


@dataclass(frozen=True)
class Evidence:
    """What one source of retrieval says for an item.

    Attributes:
        source: `next_items` (what followed in the histories of others) or `items` (items like the latest ones).
        share: the item's share of what the source retrieved, in the fusion's weights.
        matches: those that weigh most first.
    """

    source: str
    share: float
    matches: tuple[Match, ...]


@dataclass(frozen=True)
class Why:
    """Where an item's probability comes from, in the `rag` variant.

    Attributes:
        parts: of the mixture behind the probability, from `model` and from each source; they sum to 1.
        trust: how much the fusion trusts `model` and each source for this user; they sum to 1.
        evidence: of the sources that retrieved the item.
    """

    parts: dict[str, float]
    trust: dict[str, float]
    evidence: tuple[Evidence, ...]


@dataclass(frozen=True)
class Recommendation(Item):
    """A recommended item.

    Attributes:
        score: what items are ranked by: the model's logit, or the log-probability of the `rag` variant.
        probability: that this is the next item, of all that the model may recommend. Rules do not change it.
        why: where asked for.
    """

    score: float
    probability: float
    why: Why | None = None
