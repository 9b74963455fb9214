"""The answers of a recommender: small frozen records of ids, titles and numbers."""

from dataclasses import dataclass

import polars as pl

TABLE = pl.Schema(  # columns of the answers to many, a row for each recommended item
    {
        "history": pl.Int64,
        "user_id": pl.String,
        "rank": pl.Int64,
        "item_id": pl.String,
        "title": pl.String,
        "score": pl.Float32,
        "probability": pl.Float32,
    }
)


@dataclass(frozen=True)
class Item:
    """An item by its id in the data and its title, with the year where one is known."""

    item_id: str
    title: str


@dataclass(frozen=True)
class SimilarItem(Item):
    """An item with the cosine similarity of its text vector to the text vector of the requested item."""

    similarity: float


@dataclass(frozen=True)
class User:
    """A user of the data, with the whole history: the items in order, oldest first."""

    user_id: str
    history: tuple[Item, ...]


@dataclass(frozen=True)
class Match:
    """A match of retrieval: another user (named `user` and the id) with a similar history, or an item of the history.

    For source `trending`, the match is the recommended item itself.

    Attributes:
        similarity: a cosine; for source `next_items` a weighted mean of two, for `co_occurring` a fifth of a cosine's
            logarithm, for `history` the share of the user's history that was a repeat, for `trending` a tenth of
            log(1 + the item's interactions in a window of time).
        age: distance in items: of the recommended item from the end of the similar prefix of the other user (0: next,
            -1: just before), or of the matched item from the latest item of the history (0: the latest); for
            `trending`, the number of the window (0: the shortest).
    """

    id: str
    name: str
    similarity: float
    age: int


@dataclass(frozen=True)
class Evidence:
    """The evidence of one source of retrieval for an item, `because` in words.

    Attributes:
        source: `next_items` (items around similar prefixes of other users), `items` (items similar to the latest ones),
            `co_occurring` (items that users take near the latest ones), `history` (items that the user took before)
            or `trending` (items that many users took lately).
        share: the item's share of the weights that the fusion gives to the source's items.
        matches: by weight, the highest first.
    """

    source: str
    share: float
    matches: tuple[Match, ...]
    because: str


@dataclass(frozen=True)
class Why:
    """Where an item's probability comes from, in the `rag` variant, with the evidence of the sources that retrieved it.

    `parts` are the shares of `model` and of each source in the item's mixed probability. `trust` is how much the fusion
    trusts `model` and each source for this user. Each sums to 1.
    """

    parts: dict[str, float]
    trust: dict[str, float]
    evidence: tuple[Evidence, ...]


@dataclass(frozen=True)
class Recommendation(Item):
    """A recommended item.

    Its score, by which items are ranked, is the model's logit, or the log-probability of the `rag` variant. Its
    probability is of being the next item, among all items that the model ranks; rules do not change it.
    """

    score: float
    probability: float
    why: Why | None = None


@dataclass(frozen=True)
class Answer:
    """The recommendations to a user of the data, or (`user` is None) to a history."""

    user: str | None
    variant: str
    history: tuple[Item, ...]
    recommended: list[Recommendation]
