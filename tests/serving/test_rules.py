"""Rules on the recommended items and on their diversity, against plain loops."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hierrec import Recommender
from hierrec.core.errors import DataError, ParamsError
from hierrec.serving.answers import Recommendation
from hierrec.serving.find_items import NotFoundError
from hierrec.serving.rules import diverse
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

ALL = 10_000
HISTORY = ["Toy Story (1995)", "heat", "Heat (1995)"]
CONDITIONS = {
    None: lambda year, genres: True,
    "year >= 1990": lambda year, genres: year >= 1990,
    "year >= 1990 AND genres LIKE '%Drama%'": lambda year, genres: year >= 1990 and "Drama" in genres,
    "year < 1980 OR genres LIKE '%Comedy%'": lambda year, genres: year < 1980 or "Comedy" in genres,
    "genres = 'nothing'": lambda year, genres: False,
}


@pytest.fixture(scope="module", params=["hierarchical", "rag"])
def recommender(request: pytest.FixtureRequest, artifacts: Path) -> Recommender:
    return Recommender.load(artifacts / "models" / request.param)


@pytest.fixture(scope="module")
def items(artifacts: Path) -> dict[str, dict[str, Any]]:
    """Year and genres of each item."""
    table = pl.read_parquet(artifacts / "data" / "items.parquet")
    return {row["item_id"]: row for row in table.to_dicts()}


def naive(
    ranking: list[Recommendation], items: dict[str, dict[str, Any]], k: int, rules: dict[str, Any]
) -> list[Recommendation]:
    """Filter the whole ranking, item by item."""
    meets = CONDITIONS[rules.get("where")]
    candidates = rules.get("candidates")
    return [
        item
        for item in ranking
        if item.item_id not in rules.get("exclude", ())
        and (candidates is None or item.item_id in candidates)
        and meets(items[item.item_id]["year"], items[item.item_id]["genres"])
    ][:k]


@settings(max_examples=60)
@given(data=st.data())
def test_rules_filter_the_whole_ranking_before_the_cut(
    recommender: Recommender, items: dict[str, dict[str, Any]], data: st.DataObject
) -> None:
    several = st.lists(st.sampled_from(recommender.item_ids), max_size=200, unique=True)
    history = data.draw(st.lists(st.sampled_from(recommender.item_ids), max_size=20))
    rules: Any = data.draw(
        st.fixed_dictionaries(
            {},
            optional={
                "exclude": several,
                "candidates": st.none() | several,
                "where": st.sampled_from(list(CONDITIONS)),
                "exclude_seen": st.sampled_from([None, True]),
            },
        )
    )
    k = data.draw(st.integers(1, 30))
    ranking = recommender.recommend(history, ALL)
    assert recommender.recommend(history, k, **rules) == naive(ranking, items, k, rules)


def test_seen_items_are_ranked_where_they_are_asked_for(recommender: Recommender) -> None:
    seen = {recommender.item(name).item_id for name in HISTORY}
    found = recommender.recommend(HISTORY, ALL, exclude_seen=False)
    assert len(found) == 277
    assert sum(item.probability for item in found) == pytest.approx(1, abs=1e-4)
    assert [item.score for item in found] == sorted((item.score for item in found), reverse=True)
    assert not seen & {item.item_id for item in recommender.recommend(HISTORY, ALL)}
    only = recommender.recommend(HISTORY, ALL, exclude_seen=False, candidates=list(seen))
    assert [item.item_id for item in only] == [item.item_id for item in found if item.item_id in seen]
    assert recommender.recommend(HISTORY, candidates=list(seen)) == []


def test_a_model_of_repeats_leaves_seen_items_out_on_demand(artifacts: Path) -> None:
    recommender = Recommender.load(artifacts / "models" / "hierarchical")
    recommender._scorer.repeated = True
    seen = {recommender.item(name).item_id for name in HISTORY}
    whole = recommender.recommend(HISTORY, ALL)
    assert seen < {item.item_id for item in whole}
    found = recommender.recommend(HISTORY, ALL, exclude_seen=True)
    assert found == [item for item in whole if item.item_id not in seen]


def plain_diverse(scores: NDArray[np.float32], vectors: NDArray[np.float32], k: int, diversity: float) -> list[int]:
    """Maximal marginal relevance, item by item."""
    left = sorted(np.flatnonzero(scores > -np.inf).tolist(), key=lambda row: -scores[row])
    chosen: list[int] = []
    while left and len(chosen) < k:

        def value(row: int) -> float:
            if not chosen:
                return float(scores[row])
            nearest = max(float(vectors[row] @ vectors[other]) for other in chosen)
            relevance = float(np.exp(scores[row] - scores.max()))
            return (1 - diversity) * relevance - diversity * nearest

        chosen.append(max(left, key=value))
        left.remove(chosen[-1])
    return chosen


@given(
    scores=st.lists(st.integers(-6, 3) | st.just(-np.inf), min_size=1, max_size=12),
    k=st.integers(1, 15),
    diversity=st.sampled_from([0.25, 0.5, 0.75, 1.0]),
    seed=st.integers(0, 2**32 - 1),
)
def test_diversity_is_maximal_marginal_relevance(scores: list[float], k: int, diversity: float, seed: int) -> None:
    # Coordinates are 0 or .5: products are exact, and equal values are frequent.
    generator = np.random.default_rng(seed)
    vectors = np.eye(4, dtype=np.float32)[generator.integers(0, 4, len(scores))]
    found = diverse(np.array(scores, np.float32), vectors, k, diversity)
    assert found.tolist() == plain_diverse(np.array(scores, np.float32), vectors, k, diversity)


def test_diversity_makes_a_list_less_alike_and_changes_no_score(recommender: Recommender) -> None:
    def likeness(found: list[Recommendation]) -> float:
        rows = [recommender.item_ids.index(item.item_id) for item in found]
        vectors = recommender._catalogue.unit_vectors[rows]
        return float((vectors @ vectors.T)[np.triu_indices(len(rows), 1)].mean())

    by_id = {item.item_id: item for item in recommender.recommend(HISTORY, ALL)}
    lists = [recommender.recommend(HISTORY, 10, diversity=weight) for weight in (0, 0.5, 1)]
    assert lists[0] == recommender.recommend(HISTORY, 10)
    assert {found[0].item_id for found in lists} == {lists[0][0].item_id}
    plain, half, full = map(likeness, lists)
    assert plain > full
    assert plain + 1e-6 > half > full - 1e-6  # the same items in another order differ by rounding
    assert all(item == by_id[item.item_id] for found in lists for item in found)
    drama = recommender.recommend(HISTORY, 10, diversity=0.5, where="genres LIKE '%Drama%'")
    allowed = {item.item_id for item in recommender.recommend(HISTORY, ALL, where="genres LIKE '%Drama%'")}
    assert len(drama) == 10
    assert {item.item_id for item in drama} <= allowed


def test_reasons_go_with_the_items_that_are_left(artifacts: Path) -> None:
    recommender = Recommender.load(artifacts / "models" / "rag")
    whole = recommender.recommend(HISTORY, ALL, why=True)
    found = recommender.recommend(HISTORY, 5, why=True, exclude=[item.item_id for item in whole[:3]])
    assert found == whole[3:8]
    assert replace(found[0], why=None) == recommender.recommend(HISTORY, 4)[3]


def test_scores_of_some_items(recommender: Recommender) -> None:
    asked = ["Heat (1995)", "The Godfather", recommender.item_ids[7], "The Godfather"]
    rows = [recommender.item_ids.index(recommender.item(item).item_id) for item in asked]
    np.testing.assert_array_equal(recommender.score(HISTORY, items=asked), recommender.score(HISTORY)[rows])
    assert recommender.score_many([HISTORY, []], items=asked).shape == (2, 4)


@pytest.mark.parametrize(
    ("rules", "error", "message"),
    [
        (
            {"exclude": ["heat", "Toy Stroy", "Jumanjy"]},
            NotFoundError,
            r"exclude: no item is called 'Toy Stroy'; no item is called 'Jumanjy'\n[\s\S]*Toy Story \(1995\)",
        ),
        ({"candidates": ["Toy Stroy"]}, NotFoundError, "candidates: no item is called 'Toy Stroy'"),
        ({"exclude": "heat"}, DataError, "exclude: 'heat' is one text"),
        (
            {"where": "yaer > 1990"},
            DataError,
            "where: column 'yaer' is missing; there are .*'year', 'genres'",
        ),
        ({"where": "year >"}, ParamsError, "where: not an SQL expression"),
        ({"where": "year > AVG(year)"}, ParamsError, "where: looks at more than one row"),
        ({"where": "year + 1"}, DataError, "where: is of type Int32, so no condition"),
        ({"where": "title > 3"}, DataError, "where: cannot be computed"),
        ({"diversity": 1.5}, ParamsError, "diversity: is 1.5"),
        ({"diversity": float("nan")}, ParamsError, "diversity: is nan"),
        ({"diversity": "0.5"}, ParamsError, "diversity: is '0.5'"),
        ({"exclude_seen": 0}, ParamsError, "exclude_seen: is 0"),
        ({"where": 5}, ParamsError, "where: is 5, not a text"),
        ({"exclude": ""}, DataError, "exclude: '' is one text"),
    ],
)
def test_wrong_rules_are_refused(recommender: Recommender, rules: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        recommender.recommend(HISTORY, **rules)


def test_ids_are_compared_with_text_and_with_numbers(recommender: Recommender) -> None:
    expected = {item for item in recommender.item_ids if int(item) > 200}
    for condition in ("item_id > 200", "CAST(item_id AS INT) > 200"):
        found = {item.item_id for item in recommender.recommend([], ALL, where=condition)}
        assert found
        assert found <= expected
    one = recommender.recommend([], ALL, where=f"item_id = '{recommender.item_ids[3]}'")
    assert [item.item_id for item in one] == [recommender.item_ids[3]]
    assert recommender.recommend([], ALL, where="item_id > 200", candidates=[recommender.item_ids[0]]) == []


def test_many_skip_what_is_not_known_and_say_so(recommender: Recommender) -> None:
    skipped: list[NotFoundError] = []
    histories = [["Toy Stroy", *HISTORY], recommender.user(42), ["nothing"]]
    found = recommender.recommend_many(histories, 5, skipped=skipped, exclude=["The Godfather"])
    known = recommender.recommend_many([HISTORY, recommender.user(42), []], 5, exclude=["The Godfather"])
    assert found == known
    assert [(error.where, error.what) for error in skipped] == [
        ("history 1 of 3", "no item is called 'Toy Stroy'"),
        ("history 3 of 3", "no item is called 'nothing'"),
    ]
    with pytest.raises(NotFoundError, match="exclude: no item"):
        recommender.recommend_many(histories, skipped=skipped, exclude=["nothing"])


def test_many_as_a_table(recommender: Recommender) -> None:
    histories = [recommender.user(42), HISTORY]
    table = recommender.recommend_table(histories, 3, where="year < 1990")
    many = recommender.recommend_many(histories, 3, where="year < 1990")
    assert table["history"].to_list() == [0, 0, 0, 1, 1, 1]
    assert table["user_id"].to_list() == ["42"] * 3 + [None] * 3
    assert table["rank"].to_list() == [1, 2, 3] * 2
    for name in ("item_id", "title"):
        assert table[name].to_list() == [getattr(item, name) for items in many for item in items]
    for name in ("score", "probability"):
        assert table[name].to_list() == [pytest.approx(getattr(item, name)) for items in many for item in items]
    assert recommender.recommend_table([]).schema == table.schema
