"""Titles are found in any spelling; an unknown title is answered with the nearest titles."""

import re
import unicodedata
from contextlib import suppress
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hierrec.ingest.sample import sample_dataset
from hierrec.serving.catalogue import Catalogue
from hierrec.serving.find_items import ItemFinder, NotFoundError, label, nearest
from hypothesis import given
from hypothesis import strategies as st

FILMS = sample_dataset().items
TITLES: list[str] = FILMS["title"].to_list()
YEARS: list[int | None] = FILMS["year"].to_list()
IDS = [f"m{row}" for row in range(len(TITLES))]
SAMPLE = ItemFinder(IDS, TITLES, YEARS)

SMALL_TITLES = [
    ("Heat", 1995),
    ("The Kid", 2000),
    ("Kid", 1921),
    ("Hamlet", 1990),
    ("Hamlet", 1996),
    ("Il Postino (The Postman)", 1994),
    ("1917", 2019),
    ("Seven (Se7en)", None),
    ("", 2001),
    ("???", None),
]
SMALL = ItemFinder([str(1910 + row) for row in range(10)], *zip(*SMALL_TITLES, strict=True))

cases = st.sampled_from([str, str.upper, str.lower, str.title, str.swapcase])


def without_accents(text: str) -> str:
    return "".join(char for char in unicodedata.normalize("NFD", text) if not unicodedata.combining(char))


def without_punctuation(text: str) -> str:
    return re.sub(r"[^\w\s]", "", text)


def article_moved(text: str) -> str:
    return re.sub(r"^(The|A|An) (.*)$", r"\2, \1", text)


def article_dropped(text: str) -> str:
    return re.sub(r"^(The|A|An) ", "", text)


@given(
    row=st.integers(0, len(TITLES) - 1),
    changes=st.sets(st.sampled_from([without_accents, article_moved, article_dropped, str.strip])),
    punctuation=st.booleans(),
    case=cases,
    year=st.sampled_from(["", " ({})", " {}"]),
)
def test_every_title_of_the_sample_finds_itself(row: int, changes: set, punctuation: bool, case, year: str) -> None:
    title = TITLES[row]
    if not year and TITLES.count(title) > 1:
        year = " ({})"
    for change in sorted(changes, key=lambda change: change.__name__):
        title = change(title)
    text = title + year.format(YEARS[row])
    assert SAMPLE.find(case(text if punctuation else without_punctuation(text))) == row


@given(st.text(max_size=30))
def test_any_text_finds_an_item_or_gives_a_typed_error(text: str) -> None:
    for finder, count in ((SAMPLE, len(TITLES)), (SMALL, len(SMALL_TITLES))):
        with suppress(NotFoundError):
            assert finder.find(text) in range(count)


@pytest.mark.parametrize(
    ("text", "row"),
    [
        ("the kid", 1),
        ("Kid, The", 1),
        ("kid", 2),
        ("KID!", 2),
        ("Hamlet (1996)", 4),
        ("hamlet, 1990", 3),
        ("Postino, Il", 5),
        ("postman", 5),
        ("The Postman (1994)", 5),
        ("Postino, Il (The Postman) (1994)", 5),
        ("se7en", 7),
        ("???", 9),
        ("1919", 9),  # an id
        ("1917", 7),  # an id, before the title
        ("1917 (2019)", 6),
        ("heat 1995", 0),
    ],
)
def test_the_strictest_reading_decides(text: str, row: int) -> None:
    assert SMALL.find(text) == row


def test_an_ambiguous_title_names_what_it_may_be() -> None:
    with pytest.raises(NotFoundError, match="several items are called 'hamlet'") as caught:
        SMALL.find("hamlet")
    assert caught.value.candidates == ("Hamlet (1990), id 1913", "Hamlet (1996), id 1914")
    assert "Hamlet (1996), id 1914" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("Toy Stroy", "Toy Story (1995)"),
        ("two towers", "The Lord of the Rings: The Two Towers (2002)"),
        ("Heat (1996)", "Heat (1995)"),
        ("shindlers list", "Schindler's List (1993)"),
    ],
)
def test_an_unknown_title_is_answered_with_the_nearest(text: str, first: str) -> None:
    with pytest.raises(NotFoundError, match="no item is called") as caught:
        SAMPLE.find(text)
    assert caught.value.candidates[0].startswith(f"{first}, id m")


@pytest.mark.parametrize("text", ["", " ", "qqqqqqqq"])
def test_what_is_like_nothing_has_no_candidates(text: str) -> None:
    with pytest.raises(NotFoundError) as caught:
        SAMPLE.find(text)
    assert caught.value.candidates == ()


def test_a_search_finds_the_id_then_titles_with_the_text_the_shortest_first_then_similar_ones() -> None:
    assert SMALL.search("1917", 2) == [7, 6]
    assert SMALL.search("kid", 2) == [2, 1]
    assert SMALL.search("heet", 1) == [0]


def test_labels() -> None:
    assert [label("Heat", year) for year in (1995, None)] == ["Heat (1995)", "Heat"]


def test_nearest_names_come_best_first() -> None:
    assert nearest("alise", ["bob", "alicia", "alice"])[0] == "alice"
    assert nearest("zzz", ["bob", "alice"]) == []


def test_an_item_without_a_title_is_called_by_its_id_and_conditions_read_the_table_as_it_is(tmp_path: Path) -> None:
    table = {"item_id": ["1", "2"], "title": [None, "Heat"], "year": [1902, 1995]}
    catalogue = Catalogue(pl.DataFrame(table), np.eye(2, dtype=np.float32), "", tmp_path)
    assert [item.title for item in (catalogue[0], catalogue[1])] == ["1", "Heat (1995)"]
    assert catalogue.find("1") == 0
    assert catalogue.where("title IS NULL").tolist() == [True, False]
    assert not catalogue.where("title = '1'").any()
