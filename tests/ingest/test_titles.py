import pytest
from hierrec.ingest.movielens import reading_order, split_title
from hypothesis import given
from hypothesis import strategies as st

WORDS = st.lists(
    st.text("abcdefghijkléèü'-!?:&", min_size=1, max_size=8).map(str.capitalize), min_size=1, max_size=4
).map(" ".join)
ARTICLES = st.sampled_from(["The", "A", "An", "Le", "Les", "L'", "Il", "Der", "Die", "Das", "El", "Los", "O"])


@pytest.mark.parametrize(
    ("listed", "title", "year"),
    [
        ("Harbour Lights, The (1961)", "The Harbour Lights", 1961),
        ("Postino, Il (The Postman) (1994)", "Il Postino (The Postman)", 1994),
        ("Stars, The (Étoiles, Les) (1975)", "The Stars (Les Étoiles)", 1975),
        ("Thief, A (Ladro, Un)(1982)", "A Thief (Un Ladro)", 1982),
        ("Friend, The (Ami, L') (1990)", "The Friend (L'Ami)", 1990),
        ("Orange, An (1901)", "An Orange", 1901),
        ("Long, Hard Road, The (1950)", "The Long, Hard Road", 1950),
        (
            "Three Names, The (First, Der) (Second, La) (1984)",
            "The Three Names (Der First) (La Second)",
            1984,
        ),
        ("Sun, Sea, and the Wind (1988)", "Sun, Sea, and the Wind", 1988),
        ("Whatever, Nevermind (1988)", "Whatever, Nevermind", 1988),
        ("Strike (a.k.a. One, The Other Bird) (1998)", "Strike (a.k.a. One, The Other Bird)", 1998),
        ("1984 (1984)", "1984", 1984),
        ("Year 2049 (2017)", "Year 2049", 2017),
        ("(1961) (1962)", "(1961)", 1962),
        ("No Year, The", "The No Year", None),
        ("Not a Year (19999)", "Not a Year (19999)", None),
        ("Spaces   inside (Dedans ) (1980) ", "Spaces inside (Dedans)", 1980),
        ("Et&#8230;Puis &amp; Plus (1956)", "Et…Puis & Plus", 1956),
        ("Q&A (1990)", "Q&A", 1990),
        ("The (1990)", "The", 1990),
        (", The (1990)", ", The", 1990),
        ("Open (Parenthesis, The (1990)", "Open (Parenthesis, The", 1990),
        ("(1990)", "", 1990),
        ("", "", None),
    ],
)
def test_listed_titles(listed: str, title: str, year: int | None) -> None:
    assert split_title(listed) == (title, year)


@given(WORDS, ARTICLES, st.integers(1870, 2100))
def test_a_moved_article_comes_back_to_the_front(words: str, article: str, year: int) -> None:
    title = f"L'{words}" if article == "L'" else f"{article} {words}"
    assert split_title(f"{words}, {article} ({year})") == (title, year)
    assert split_title(f"Zzz ({words}, {article}) ({year})") == (f"Zzz ({title})", year)


@given(WORDS, ARTICLES, WORDS)
def test_reading_order_leaves_a_title_in_reading_order_alone(words: str, article: str, other: str) -> None:
    title = reading_order(f"{words}, {article} ({other})")
    assert reading_order(title) == title


@given(st.text())
def test_any_text_is_a_title(text: str) -> None:
    title, year = split_title(text)
    assert title == " ".join(title.split())
    assert year is None or 0 <= year <= 9999
