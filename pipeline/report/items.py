"""The items for people: a map of their vectors, coloured by genre, and nearest neighbours."""

from collections import Counter, defaultdict
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.manifold import TSNE
from threadpoolctl import threadpool_limits

from ..serving.answers import SimilarItem
from ..serving.catalogue import Catalogue
from ..store.vectors import Vectors

SIDE = 1000  # length of the map's sides
MARGIN = 20
PERPLEXITY = 30
ITERATIONS = 350
ANGLE = 0.8  # of Barnes-Hut: half the time of the usual 0.5, and the map keeps as many neighbours together
MAP_ITEMS = 5000
COLOURS = 9  # genres with a colour of their own on the map; the other genres share one
NEIGHBOURS = 6
SEEDS = 9


@dataclass(frozen=True)
class Items:
    """Items with genres and popularity."""

    catalogue: Catalogue  # their names and neighbours
    genres: list[list[str]]  # of each item; empty if unknown
    counts: NDArray[np.int64]  # [n], training interactions of each item

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


class Neighbours(NamedTuple):
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
    drawn = [(group, dots[group]) for group in (*names.values(), rest) if group in dots]
    groups = [MapGroup(*group, len(paths), "".join(paths)) for group, paths in drawn]
    titles = [(items.catalogue[row].title, ", ".join(items.genres[row])) for row in rows]
    points = [(x, y, *shown) for (x, y), shown in zip(places, titles, strict=True)]
    return ItemMap(groups, points, len(items.catalogue))


def neighbours(items: Items) -> list[Neighbours]:
    """Return the neighbours of popular items: first one item of each main genre, then the most popular ones."""
    first: dict[str, int] = {}
    for row in items.by_popularity:
        first.setdefault(items.main_genres[row], row)
    found = []
    for row in [*dict.fromkeys([*first.values()][:SEEDS] + items.by_popularity)][:SEEDS]:
        similar = items.catalogue.similar(row, NEIGHBOURS)
        found.append(Neighbours(items.catalogue[row].title, ", ".join(items.genres[row]), similar))
    return found


def project(vectors: NDArray[np.float32]) -> NDArray[np.int64]:
    """Place vectors, float32 [n, d], in a square so that similar ones, by cosine after centring, are close.

    This is t-SNE (van der Maaten and Hinton 2008) from a PCA start, in one thread: equal vectors give equal maps.
    Returns coordinates x and y in 0..`SIDE`, int64 [n, 2].
    """
    centred = vectors - vectors.mean(0)
    unit = centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-12)
    perplexity = min(PERPLEXITY, (len(unit) - 1) / 3)
    if perplexity < 1 or unit.shape[1] < 2 or np.ptp(unit, axis=0).max() < 1e-6:
        # t-SNE crashes on equal vectors, and needs more than a few vectors of more than one dimension.
        layout = np.stack([np.arange(len(unit)), np.zeros(len(unit))], axis=1)
    else:
        tsne = TSNE(perplexity=perplexity, max_iter=ITERATIONS, angle=ANGLE, init="pca", random_state=0)
        with threadpool_limits(limits=1):
            layout = tsne.fit_transform(unit)
    low, high = layout.min(0), layout.max(0)
    scale = (SIDE - 2 * MARGIN) / max(float((high - low).max()), 1e-12)  # the same for both axes
    return np.rint((layout - (low + high) / 2) * scale + SIDE / 2).astype(np.int64)
