"""Invented film titles: what a title looks like, filled with the vocabulary of general English."""

import random
import re
from collections.abc import Callable, Sequence

FUNCTION_WORDS = frozenset(
    """a an the of and or in on at to for from with by is be my your his her our me you it i no not who what
    when where how de la le les el il der die das ii iii iv v vs as all this that""".split()  # noqa: SIM905
)
PATTERNS = (
    "{w}", "The {w}", "The {w}", "{w} {w}", "{w} {w}", "The {w} {w}", "{w} of {w}", "The {w} of {n}",
    "{w} and {w}", "{n}'s {w}", "{n}", "{n} {n}", "{n} and {n}", "The {w} of the {w}", "{w} in the {w}",
    "{w} to {n}", "A {w} {w}", "My {w}", "{w} {w} {w}", "{w} with the {w}", "{w} 2", "{w} II",
    "The {n} {w}", "{w} for {w}", "Dead {w}", "{w} on {n}", "The {w} Who {w}", "{w}: The {w} {w}",
    "{w}, {w}", "{n}: {w} of the {w}",
)  # fmt: skip


def title_case(phrase: str) -> str:
    """Capitalise as a title, function words but the first left small."""
    words = phrase.split(" ")
    return " ".join(
        word if i and word.lower() in FUNCTION_WORDS else word[:1].upper() + word[1:] for i, word in enumerate(words)
    )


class TitleMaker:
    """Draws titles from real titles with words replaced, patterns, dictionary phrases, names and passages.

    Args:
        rng: the source of randomness.
        word: draws a word.
        titles: titles of training films.
        names: names of people, places and works.
        phrases: dictionary entries of one or more words.
        passages: running text, of which spans are taken.
    """

    def __init__(
        self,
        rng: random.Random,
        word: Callable[[], str],
        titles: Sequence[str],
        names: Sequence[str],
        phrases: Sequence[str],
        passages: Sequence[str],
    ) -> None:
        self.rng, self.word = rng, word
        self.titles, self.names, self.phrases, self.passages = titles, names, phrases, passages

    def __call__(self) -> str:
        """Draw a title."""
        kinds = (self._replaced, self._patterned, self._phrase, self._name, self._span, self._joined)
        return self.rng.choices(kinds, (34, 24, 14, 10, 10, 8))[0]()

    def _replaced(self) -> str:
        def replace(match: re.Match[str]) -> str:
            word = match[0]
            if word.lower() in FUNCTION_WORDS or self.rng.random() < 0.35:
                return word
            return self.word().capitalize()

        return re.sub(r"[A-Za-z]+", replace, self.rng.choice(self.titles))

    def _patterned(self) -> str:
        parts = re.split(r"(\{.\})", self.rng.choice(PATTERNS))
        fill = {"{w}": lambda: self.word().capitalize(), "{n}": lambda: self.rng.choice(self.names)}
        return "".join(fill[part]() if part in fill else part for part in parts)

    def _phrase(self) -> str:
        return title_case(self.rng.choice(self.phrases))

    def _name(self) -> str:
        return self.rng.choice(self.names)

    def _span(self) -> str:
        words = re.findall(r"[A-Za-z']+", self.rng.choice(self.passages))
        length = self.rng.randint(2, 5)
        start = self.rng.randrange(max(1, len(words) - length))
        return title_case(" ".join(words[start : start + length]))

    def _joined(self) -> str:
        first, second = (self.rng.choice(self.titles).split(" ") for _ in range(2))
        return " ".join(first[: self.rng.randint(1, len(first))] + second[self.rng.randrange(len(second)) :])
