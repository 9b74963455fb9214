"""The map's colours and the neighbours that are shown."""

from copy import copy
from dataclasses import replace

import numpy as np
from hierrec.report.items import COLOURS, SEEDS, Items, item_map, neighbours

from tests.report.world import ITEMS, World


def test_the_colour_is_the_rarest_genre(world: World) -> None:
    items = Items(world.catalogue, [["A", "B"], ["B"], ["B", "A", "C"], []], np.zeros(4, np.int64))
    assert items.main_genres == ["A", "B", "C", ""]


def test_every_item_is_one_dot_of_one_colour(world: World) -> None:
    drawn = item_map(world.items, world.vectors)
    assert drawn.total == len(drawn.points) == ITEMS
    assert sum(group.count for group in drawn.groups) == ITEMS
    dots = sorted(dot for group in drawn.groups for dot in group.path.removeprefix("M").split("M"))
    assert dots == sorted(f"{x} {y}h0" for x, y, _, _ in drawn.points)
    assert [point[2] for point in drawn.points] == [world.catalogue[row].title for row in range(ITEMS)]


def test_genres_beyond_the_colours_share_one(world: World) -> None:
    genres = [[f"Genre {row % 15:02d}"] for row in range(ITEMS)]
    drawn = item_map(Items(world.catalogue, genres, world.items.counts), world.vectors)
    assert [group.name for group in drawn.groups] == [
        *(f"Genre {place:02d}" for place in range(COLOURS)),
        "Other genres",
    ]
    assert len({group.kind for group in drawn.groups}) == COLOURS + 1


def test_without_genres_there_is_one_colour(plain_world: World) -> None:
    drawn = item_map(plain_world.items, plain_world.vectors)
    assert [(group.name, group.count) for group in drawn.groups] == [("Items", ITEMS)]


def test_a_large_catalogue_is_cut_to_the_most_popular(world: World) -> None:
    counts = np.arange(ITEMS)
    drawn = item_map(Items(world.catalogue, world.items.genres, counts), world.vectors, limit=7)
    assert [point[2] for point in drawn.points] == [world.catalogue[row].title for row in range(ITEMS - 7, ITEMS)]
    assert drawn.total == ITEMS


def test_neighbours_are_those_of_the_catalogue_and_cover_the_genres(world: World) -> None:
    found = neighbours(world.items)
    assert len(found) == SEEDS == len({item.name for item in found})
    titles = [world.catalogue[row].title for row in range(ITEMS)]
    rows = [titles.index(item.name) for item in found]
    for item, row in zip(found, rows, strict=True):
        assert item.similar == world.catalogue.similar(row, 6)
    assert {world.items.main_genres[row] for row in rows} == set(world.items.main_genres)


def test_neighbours_do_not_read_all_titles(world: World) -> None:
    catalogue = copy(world.catalogue)
    catalogue.__dict__.pop("finder", None)
    neighbours(replace(world.items, catalogue=catalogue))
    assert "finder" not in catalogue.__dict__  # 40 s for a million titles
