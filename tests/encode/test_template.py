"""Item texts: present values appear unchanged, missing values leave nothing behind."""

import math

import polars as pl
import pytest
from hierrec.core.errors import ParamsError
from hierrec.encode.template import render
from hypothesis import given
from hypothesis import strategies as st

DEFAULT = "{title} ({year}). Genres: {genres}."


def one(template: str, **values: object) -> str:
    return render(pl.DataFrame({column: [value] for column, value in values.items()}), template)[0]


@pytest.mark.parametrize(
    ("year", "genres", "expected"),
    [
        (1995, ["Action", "Crime"], "Heat (1995). Genres: Action, Crime."),
        (None, ["Action"], "Heat. Genres: Action."),
        (1995, [], "Heat (1995)."),
        (1995, None, "Heat (1995)."),
        (None, [], "Heat."),
    ],
)
def test_default_template(year: int | None, genres: list[str] | None, expected: str) -> None:
    items = pl.DataFrame(
        {"title": ["Heat"], "year": [year], "genres": [genres]},
        schema={"title": pl.String, "year": pl.Int32, "genres": pl.List(pl.String)},
    )
    assert render(items, DEFAULT) == [expected]


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{title}, {year}, {plot}", "Heat, A thief."),
        ("{year}, {title}", "Heat"),
        ("{title} - {year}", "Heat"),
        ("{year} – {title}: {plot}", "Heat: A thief."),
        ("Film: {title}; year: {year}; plot: {plot}", "Film: Heat; plot: A thief."),
        ("{title} [of {year}] {plot}", "Heat A thief."),
        ("{title} (seen in {year}, {plot})", "Heat (seen in, A thief.)"),
        ("{title}\n{year}\n{plot}", "Heat\nA thief."),
        ("{title} from {year} on", "Heat from on"),
        ("A film! {title}. {year}.", "A film! Heat."),
        ("{year}", ""),
    ],
)
def test_missing_year(template: str, expected: str) -> None:
    assert one(template, title="Heat", year=None, plot="A thief.") == expected


def test_values_are_never_read_as_template() -> None:
    title = "What? {year} (or, {title}); [()]."
    assert one("{title} ({year}).", title=title, year=None) == title + "."


def test_blank_nan_and_empty_are_missing() -> None:
    items = pl.DataFrame({"title": [" ", "Heat \n 2 "], "score": [math.nan, 0.5], "tags": [[""], [" a", "b"]]})
    assert render(items, "{title}. Score {score}. {tags}") == ["", "Heat 2. Score 0.5. a, b"]


def test_zero_and_false_are_values() -> None:
    assert one("{a} {b}", a=0, b=False) == "0 False"


@given(
    st.lists(
        st.tuples(
            st.one_of(st.none(), st.text(alphabet="abcé", min_size=1)),
            st.one_of(st.none(), st.integers(1900, 2030)),
            st.lists(st.text(alphabet="xyz", min_size=1), max_size=3),
        ),
        min_size=1,
        max_size=5,
    )
)
def test_no_debris(rows: list[tuple[str | None, int | None, list[str]]]) -> None:
    schema = {"title": pl.String, "year": pl.Int32, "genres": pl.List(pl.String)}
    texts = render(pl.DataFrame(rows, schema=schema, orient="row"), DEFAULT)
    for text, (title, year, genres) in zip(texts, rows, strict=True):
        assert "".join(letter for letter in text if letter in "abcé") == (title or "")
        assert ("(" in text) == (year is not None)
        assert ("Genres" in text) == bool(genres)
        assert text == text.strip()
        assert not any(debris in text for debris in ("()", "..", ". .", "  ", "None", "[]"))


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{title} {director}", r"\{director\} is no column.*\n.*title, year"),
        ("{title.__class__}", "is no column"),
        ("{}", "is no column"),
    ],
)
def test_bad_templates(template: str, message: str) -> None:
    with pytest.raises(ParamsError, match=message):
        one(template, title="Heat", year=1995)


@pytest.mark.parametrize("name", ["meta.brand", "a/b", "q?", "x,y", "p|q", "c(d)", "0", "\\d"])
def test_a_name_with_punctuation_is_one_name(name: str) -> None:
    template = f"{{title}}, {{{name}}}. Of {{{name}}} ({{{name}}})."
    items = pl.DataFrame({"title": ["Pan", "Pot", None], name: [None, "Alessi", None]})
    assert render(items, template) == ["Pan.", "Pot, Alessi. Of Alessi (Alessi).", ""]


def test_a_standard_column_that_is_not_there_is_missing() -> None:
    assert render(pl.DataFrame({"item_id": ["1"], "maker": ["Kemp"]}), "{title} ({year}). By {maker}.") == ["By Kemp."]
