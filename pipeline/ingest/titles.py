"""MovieLens titles: the year at the end, and articles moved behind ("Matrix, The") back to the front."""

import re

from .clean_text import unescaped

_ARTICLES = (
    "The|A|An"  # English
    "|La|Le|Les|L'|Un|Une"  # French
    "|Il|Lo|I|Gli|Uno|Una"  # Italian
    "|Der|Die|Das|Ein|Eine"  # German
    "|El|Los|Las"  # Spanish
    "|O|Os|As"  # Portuguese
    "|Den|Det|De|Het|En"  # Scandinavian, Dutch
)
_MOVED_ARTICLE = re.compile(rf"(?P<rest>.*\S),\s+(?P<article>{_ARTICLES})")
_YEAR = re.compile(r"(?P<title>.*?)\s*\((?P<year>\d{4})\)\s*", re.DOTALL)
_ALTERNATIVE = re.compile(r"\(([^()]*)\)")


def split_title(text: str) -> tuple[str, int | None]:
    """Split a listed title into the title in reading order and the year.

    ``"Postino, Il (The Postman) (1994)"`` → ``("Il Postino (The Postman)", 1994)``; the year is None where
    the text does not end in four digits in parentheses. The title may come out empty.
    """
    match = _YEAR.fullmatch(text)
    if match is None:
        return reading_order(text), None
    return reading_order(match["title"]), int(match["year"])


def reading_order(title: str) -> str:
    """Put moved articles in front, of the title and of each alternative title in parentheses.

    Runs of white space become one space, and HTML entities the characters they stand for.
    """
    main, parenthesis, rest = " ".join(unescaped(title).split()).partition(" (")
    alternatives = _ALTERNATIVE.sub(lambda match: f"({_article_first(match[1].strip())})", parenthesis + rest)
    return _article_first(main) + alternatives


def _article_first(title: str) -> str:
    match = _MOVED_ARTICLE.fullmatch(title)
    if match is None:
        return title
    gap = "" if match["article"].endswith("'") else " "
    return f"{match['article']}{gap}{match['rest']}"
