"""The items as people look at them: a map of their vectors, coloured by genre, and neighbours."""

from collections import Counter
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ..serving.answers import SimilarItem
from ..serving.catalogue import Catalogue
from ..store.vectors import Vectors
from .projection import project

MAP_ITEMS = 5000
COLOURS = 9
"""Genres with a colour of their own on the map; the rest share one."""
NEIGHBOURS = 6
SEEDS = 9


@dataclass(frozen=True)
class Items:
    """Items with their popularity.

    Attributes:
        catalogue: their names and neighbours.
        genres: each item's; empty where none is known.
        counts: int64 [n], training interactions of each item.
    """

    catalogue: Catalogue
    genres: list[list[str]]
    counts: NDArray[np.int64]

    @cached_property
    def main_genres(self) -> list[str]:
        """Each item's rarest genre, the one that tells most about it; "" where none is known."""
        frequency = Counter(genre for genres in self.genres for genre in genres)
        return [
            min(genres, key=lambda genre: (frequency[genre], genre), default="") for genres in self.genres
        ]

    @cached_property
    def by_popularity(self) -> list[int]:
        """Rows from the most to the least popular item; ties by row."""
        return np.argsort(-self.counts, kind="stable").tolist()


@dataclass(frozen=True)
class MapGroup:
    """Items of one colour: their genre, the CSS class of its colour, and an SVG path of dots."""

    name: str
    kind: str
    count: int
    path: str


@dataclass(frozen=True)
class ItemMap:
    """The map: dots by genre, and what hovering says: x, y, name and genres of each dot."""

    groups: list[MapGroup]
    points: list[tuple[int, int, str, str]]
    total: int


@dataclass(frozen=True)
class Neighbours:
    """An item, and those most similar to it by the cosine of their vectors."""

    name: str
    genres: str
    similar: list[SimilarItem]


def item_map(items: Items, vectors: Vectors, limit: int = MAP_ITEMS) -> ItemMap:
    """Project the vectors, float32 [n, d], of all items, or of the `limit` most popular."""
    rows = sorted(items.by_popularity[:limit])
    places = project(vectors[rows]).tolist()
    main = [items.main_genres[row] for row in rows]
    frequency = Counter(genre for genre in main if genre)
    coloured = [
        genre for genre, _ in sorted(frequency.items(), key=lambda pair: (-pair[1], pair[0]))[:COLOURS]
    ]
    groups = []
    for place, genre in enumerate([*coloured, None]):
        dots = [
            dot
            for dot, own in zip(places, main, strict=True)
            if (own == genre if genre else own not in coloured)
        ]
        if dots:
            name = genre or ("Other genres" if coloured else "Items")
            kind = f"colour-{place}" if genre else "colour-rest"
            groups.append(MapGroup(name, kind, len(dots), "".join(f"M{x} {y}h0" for x, y in dots)))
    points = [
        (x, y, items.catalogue[row].title, ", ".join(items.genres[row]))
        for row, (x, y) in zip(rows, places, strict=True)
    ]
    return ItemMap(groups, points, len(items.catalogue))


def neighbours(items: Items) -> list[Neighbours]:
    """Return the neighbours of popular items: one of each main genre, then whatever is popular."""
    first: dict[str, int] = {}
    for row in items.by_popularity:
        first.setdefault(items.main_genres[row], row)
    seeds = dict.fromkeys([*first.values()][:SEEDS] + items.by_popularity)
    return [
        Neighbours(
            items.catalogue[row].title,
            ", ".join(items.genres[row]),
            items.catalogue.similar(items.catalogue[row].item_id, NEIGHBOURS),
        )
        for row in [*seeds][:SEEDS]
    ]
