"""The page as text: escaped, self-contained, always the same, for any results."""

import re
from dataclasses import replace
from html.parser import HTMLParser

from hierrec.report.items import ItemMap, Neighbours
from hierrec.report.page import render
from hierrec.report.previous import Change, Previous, with_previous

from tests.report.world import MOVIELENS, ODD, World, bare_results, full_results

VOID = {"meta", "link", "br", "input"}


class Parsed(HTMLParser):
    """The tags of a page, their attributes, and the text that is shown. Tags must be closed in order."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(page)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] not in {"style", "script"}:
            self.text += data


def test_texts_are_escaped(world: World) -> None:
    content = world.content(full_results())
    page = render(replace(content, neighbours=[Neighbours(ODD[0], ODD[1], [])]))
    for text in (*ODD[:3], "<i>Odd</i>", "user <", "t5-<nano>", "{title} <b>"):
        assert text not in page
    parsed = Parsed(page)
    assert parsed.tags.count("script") == 2
    assert "b" not in parsed.tags
    assert all(text in parsed.text for text in ODD[:2])


def test_it_loads_nothing(world: World) -> None:
    page = render(world.content(full_results(MOVIELENS)))
    links = [value or "" for name, value in Parsed(page).attributes if name in {"src", "href", "srcset", "data"}]
    assert links
    assert all(link.startswith(("#", "data:,")) for link in links)
    assert not re.search(r"https?:|url\(|@import|\bfetch\(|XMLHttpRequest", page)
    assert "default-src 'none'" in page


def test_links_within_the_page_lead_somewhere(world: World) -> None:
    attributes = Parsed(render(world.content(full_results()))).attributes
    ids = {value for name, value in attributes if name == "id"}
    assert {value[1:] for name, value in attributes if name == "href" and value and value[0] == "#"} <= ids


def test_two_builds_give_the_same_bytes(world: World) -> None:
    assert render(world.content(full_results())) == render(world.content(full_results()))


def test_it_needs_neither_genres_nor_years_nor_all_results(plain_world: World) -> None:
    text = Parsed(render(plain_world.content(bare_results()))).text
    assert "What comes next?" in text
    assert "Film 7" in text
    for missing in ("Where it is good", "rarest of an item's genres", "On the same users", "published"):
        assert missing not in text


def test_it_says_when_the_difference_may_be_chance(world: World) -> None:
    results = full_results()
    assert "may be chance" not in render(world.content(results))
    unsure = {**results.comparison, "ndcg@10": {**results.comparison["ndcg@10"], "low": -0.001}}
    assert "may be chance" in render(world.content(replace(results, comparison=unsure)))


def test_the_baselines_stand_in_the_table_above_the_variants(world: World) -> None:
    text = "".join(Parsed(render(world.content(full_results()))).text.split())
    metrics = "NDCG@10Recall@10NDCG@20Recall@20"
    rows = "popularity.0200.0200.0200.0200markov.1700.3000.2000.4000hierarchical.1700.3000.2000.4000rag.1870"
    rows = rows.replace(".", "0.")
    assert f"{metrics}test{rows}" in text
    assert f"validation{rows}" in text


def test_a_full_map_stays_light(world: World) -> None:
    content = world.content(full_results())
    points = [(place % 1000, place % 997, f"A title of usual length {place}", "Comedy") for place in range(5000)]
    full = replace(content, map=ItemMap(content.map.groups, points, 100_000))
    page = render(full)
    assert len(page.encode()) < 1_000_000
    assert "Shown are the 5,000 most popular of 100,000" in page


def test_every_column_of_a_table_and_every_colour_has_a_name(world: World) -> None:
    page = render(world.content(full_results(MOVIELENS)))
    heads = re.findall(r"<thead>.*?</thead>", page, re.DOTALL)
    cells = [cell for head in heads for cell in re.findall(r"<t[hd]\b[^>]*>(.*?)</t[hd]>", head, re.DOTALL)]
    assert cells == ["model", "NDCG@10", "Recall@10", "NDCG@20", "Recall@20"]
    keys = re.findall(r'<i class="key [\w-]+"></i>\s*([^<\s]?)', page)
    assert keys
    assert all(keys)


def test_a_previous_run_stands_beside_this_one_and_is_escaped(world: World) -> None:
    page = render(world.content(full_results()))
    rows = [Change("rag", "ndcg@10", 0.2, "0.1900 to 0.2100", 0.25), Change("<i>new", "mrr", 0.1, "", None)]
    text = Parsed(with_previous(page, Previous("<b>abc", rows, ["train.epochs: 2 → 3"]))).text
    shown = "".join(text.split())
    assert "Besidetherunof<b>abc" in shown
    assert "ragndcg@100.20000.1900to0.21000.2500-0.0500<i>newmrr0.1000" in shown
    assert "train.epochs: 2 → 3" in text
