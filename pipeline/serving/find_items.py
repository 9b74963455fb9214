"""Find items by id or title; year, article, accents and punctuation of a title may be missing."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Sequence

from rapidfuzz import fuzz, process

from ..core.errors import DataError

CANDIDATES = 5
LONGEST = 200  # characters of a name that are compared with titles
SIMILAR = 65  # least similarity, 0 to 100, of a name that is suggested for an unknown one

_ARTICLE = re.compile(
    "the|an?|la|les?|l|une?|il|lo|gli|un[oa]|der|die|das|eine?|el|los|las|os?|den|det|het", re.IGNORECASE
)
_YEAR = re.compile(r"(?P<title>.*\S)\s*(?:\((?P<certain>\d{4})\)|,?\s(?P<likely>\d{4}))", re.DOTALL)
_ALTERNATIVE = re.compile(r"\(([^()]+)\)")
_MOVED = re.compile(r"(?P<rest>[^()]*[^\s()]),\s*(?P<article>[^\W\d_]+'?)(?P<more>\s*\(.*)?", re.DOTALL)

_REMEDY = "use the id or the title of an item of the data"


class NotFoundError(DataError):
    """A name that no item or user has, or that several have; `candidates` are suggested, most similar first."""

    def __init__(self, what: str, candidates: Sequence[str], remedy: str) -> None:
        self.candidates = tuple(candidates)
        lines = "".join(f"\n    {candidate}" for candidate in candidates)
        super().__init__(what, remedy=f"{remedy}{lines}")

    @classmethod
    def of(cls, errors: Sequence["NotFoundError"]) -> "NotFoundError":
        """Return one error for several names of one list."""
        if len(errors) == 1:
            return errors[0]
        candidates = [candidate for error in errors for candidate in error.candidates]
        more = f"; and {len(errors) - CANDIDATES:,} more" * (len(errors) > CANDIDATES)
        what = "; ".join(error.what for error in errors[:CANDIDATES]) + more
        joined = cls(what, candidates, "did you mean:" if candidates else _REMEDY)
        joined.where = errors[0].where
        return joined


class ItemFinder:
    """Finds the item that a text names.

    An id wins over a title. Titles are compared by four readings, and the first that finds an item decides: as written,
    then in any case and punctuation, then without articles, then by an alternative title in parentheses. If the text
    has a year, it must be the item's year. Ids, titles (in reading order) and years are by row.
    """

    def __init__(self, item_ids: Sequence[str], titles: Sequence[str], years: Sequence[int | None]) -> None:
        self._years = years
        self._rows = {item_id: row for row, item_id in enumerate(item_ids)}
        self._names = [
            item_id if title == item_id else f"{label(title, year)}, id {item_id}"
            for item_id, title, year in zip(item_ids, titles, years, strict=True)
        ]
        self._plain = [_words(title) for title in titles]
        self._words = [_without_article(title) for title in titles]
        whole = [[title] for title in titles]
        parts = [[*_ALTERNATIVE.findall(title), _ALTERNATIVE.sub("", title)] for title in titles]
        readings = (str.strip, whole), (_squeezed, whole), (_bare, whole), (_bare, parts)
        self._readings = [(reading, _table(reading, texts)) for reading, texts in readings]

    def find(self, name: str | int, suggest: bool = True) -> int:
        """Return the row of the item that an id or a text names.

        Raises ``NotFoundError`` if there is none, or there are several; the candidates are these, or, if similar titles
        should be suggested, the nearest.
        """
        if (text := str(name)) in self._rows or (text := text.strip()) in self._rows:
            return self._rows[text]
        rows = self._by_title(text)
        if len(rows) == 1:
            return rows[0]
        what, remedy = f"several items are called {text!r}", "say which, by its id:"
        if not rows:
            rows, what = self._similar(text) if suggest else [], f"no item is called {text!r}"
            remedy = "did you mean:" if rows else _REMEDY
        raise NotFoundError(what, [self._names[row] for row in rows], remedy)

    def search(self, text: str, k: int) -> list[int]:
        """Return up to k rows: the item with this id, then titles with the text, shortest first, then those like it."""
        query = _words(text)
        rows = [self._rows[text]] if text in self._rows else []
        containing = [row for row, words in enumerate(self._plain) if query in words]
        rows += sorted(containing, key=lambda row: len(self._plain[row]))
        if len(rows) < k:
            rows += self._similar(text)
        return list(dict.fromkeys(rows))[:k]

    def _by_title(self, text: str) -> list[int]:
        year = _YEAR.fullmatch(text.strip())
        readings: list[tuple[str, int | None]] = [(text, None)]
        if year:
            split = (year["title"], int(year["certain"] or year["likely"]))
            readings.insert(0 if year["certain"] else 1, split)  # "Blade Runner 2049" is a title first
        for title, wanted in readings:
            for reading, rows_of in self._readings:
                rows = [row for row in rows_of.get(reading(title), ()) if wanted in (None, self._years[row])]
                if rows:
                    return rows
        return []

    def _similar(self, text: str) -> list[int]:
        year = _YEAR.fullmatch(text.strip())
        query = _without_article(year["title"] if year else text)[:LONGEST]
        found = process.extract(query, self._words, scorer=_likeness, score_cutoff=SIMILAR, limit=CANDIDATES)
        return [row for _, _, row in found]


def label(title: str, year: int | None) -> str:
    """Return how an item is shown: "Heat (1995)", or the title alone where no year is known."""
    return title if year is None else f"{title} ({year})"


def nearest(text: str, names: Sequence[str]) -> list[str]:
    """Return the names that are spelt most like a text, best first."""
    found = process.extract(text, names, scorer=fuzz.ratio, score_cutoff=SIMILAR, limit=CANDIDATES)
    return [name for name, _, _ in found]


def _table(reading: Callable[[str], str], texts: list[list[str]]) -> dict[str, list[int]]:
    rows_of: dict[str, list[int]] = defaultdict(list)
    for row, titles in enumerate(texts):
        for key in dict.fromkeys(map(reading, titles)):
            if key:
                rows_of[key].append(row)
    return rows_of


def _squeezed(title: str) -> str:
    """Return the title's letters and digits, a moved article ("Matrix, The") in front."""
    moved = _MOVED.fullmatch(title.strip())
    if moved and _ARTICLE.fullmatch(moved["article"].rstrip("'")):
        title = f"{moved['article']} {moved['rest']}{moved['more'] or ''}"
    return _words(title).replace(" ", "")


def _bare(title: str) -> str:
    """Return the title's letters and digits without an article at its beginning or end, and without "and"."""
    return _without_article(title).replace(" ", "")


def _without_article(title: str) -> str:
    words = _words(title).split()
    words = [word for word in words if word != "and"] or words
    if len(words) > 1 and _ARTICLE.fullmatch(words[0]):
        words = words[1:]
    elif len(words) > 1 and _ARTICLE.fullmatch(words[-1]):
        words = words[:-1]
    return " ".join(words)


def _likeness(query: str, words: str, **_: float | None) -> float:
    """Return 0 to 100: how alike the spelling is, or, a little less, how many words two texts share."""
    return max(fuzz.ratio(query, words), 0.9 * fuzz.token_set_ratio(query, words))


def _words(text: str) -> str:
    """Return a text in lower case, without accents, its words separated by single spaces.

    A text without letters and digits ("???") stays as it is.
    """
    plain = unicodedata.normalize("NFKD", text).casefold()
    plain = "".join(char for char in plain if not unicodedata.combining(char))
    return " ".join(re.findall(r"[^\W_]+", plain)) or text.strip().casefold()
