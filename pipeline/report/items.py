"""The items for people: a map of their vectors, coloured by genre, and nearest neighbours."""

from collections import Counter, defaultdict
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
"""Genres with a colour of their own on the map; the other genres share one."""
NEIGHBOURS = 6
SEEDS = 9


@dataclass(frozen=True)
class Items:
    """Items with genres and popularity.

    Attributes:
        catalogue: their names and neighbours.
        genres: genres of each item; empty if unknown.
        counts: int64 [n], training interactions of each item.
    """

    catalogue: Catalogue
    genres: list[list[str]]
    counts: NDArray[np.int64]

    @cached_property
    def main_genres(self) -> list[str]:
        """The rarest genre of each item, which is the most specific one; "" if unknown."""
        frequency = Counter(genre for genres in self.genres for genre in genres)
        return [min(own, key=lambda genre: (frequency[genre], genre), default="") for own in self.genres]

    @cached_property
    def by_popularity(self) -> list[int]:
        """Rows from the most to the least popular item; ties by row."""
        return np.argsort(-self.counts, kind="stable").tolist()


@dataclass(frozen=True)
class MapGroup:
    """Items of one colour: their genre, the CSS class of the colour, and their dots as an SVG path."""

    name: str
    kind: str
    count: int
    path: str


@dataclass(frozen=True)
class ItemMap:
    """Dots by genre, and x, y, name and genres of each dot for its tooltip."""

    groups: list[MapGroup]
    points: list[tuple[int, int, str, str]]
    total: int


@dataclass(frozen=True)
class Neighbours:
    """An item and its nearest neighbours by cosine."""

    name: str
    genres: str
    similar: list[SimilarItem]


def item_map(items: Items, vectors: Vectors, limit: int = MAP_ITEMS) -> ItemMap:
    """Project the vectors, float32 [n, d], of all items, or of the `limit` most popular."""
    rows = sorted(items.by_popularity[:limit])
    places = project(vectors[rows]).tolist()
    main = [items.main_genres[row] for row in rows]
    frequency = Counter(genre for genre in main if genre)
    coloured = sorted(frequency, key=lambda genre: (-frequency[genre], genre))[:COLOURS]
    names = {genre: (genre, f"colour-{place}") for place, genre in enumerate(coloured)}
    rest = ("Other genres" if coloured else "Items", "colour-rest")
    dots: dict[tuple[str, str], list[str]] = defaultdict(list)
    for (x, y), genre in zip(places, main, strict=True):
        dots[names.get(genre, rest)].append(f"M{x} {y}h0")
    groups = [
        MapGroup(*group, len(dots[group]), "".join(dots[group]))
        for group in (*names.values(), rest)
        if group in dots
    ]
    points = [
        (x, y, items.catalogue[row].title, ", ".join(items.genres[row]))
        for row, (x, y) in zip(rows, places, strict=True)
    ]
    return ItemMap(groups, points, len(items.catalogue))


def neighbours(items: Items) -> list[Neighbours]:
    """Return the neighbours of popular items: first one item of each main genre, then the most popular ones."""
    first: dict[str, int] = {}
    for row in items.by_popularity:
        first.setdefault(items.main_genres[row], row)
    found = []
    for row in [*dict.fromkeys([*first.values()][:SEEDS] + items.by_popularity)][:SEEDS]:
        similar = items.catalogue.similar_to(row, NEIGHBOURS)
        found.append(Neighbours(items.catalogue[row].title, ", ".join(items.genres[row]), similar))
    return found
