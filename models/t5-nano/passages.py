"""Invented abstracts: windows of real ones with other titles, names and words, or two of them mixed."""

import random
import re
from collections.abc import Callable, Sequence

WORD = re.compile(r"\b[a-z]{4,}\b")
NAME = re.compile(r"(?<![.!?] )(?<!^)\b[A-Z][a-z]+(?:(?: (?:of|the|de|and))? [A-Z][a-z]+){0,3}")


class PassageMixer:
    """Draws passages, from one sentence to a whole abstract.

    Args:
        rng: the source of randomness.
        stories: (title, sentences of the abstract) of training films.
        names: names of people, places and works, of two words or more.
        title: draws a title.
        word: draws a word.
        swapped: the share of passages some of whose words are others, between a tenth and a half.
    """

    def __init__(
        self,
        rng: random.Random,
        stories: Sequence[tuple[str, list[str]]],
        names: Sequence[str],
        title: Callable[[], str],
        word: Callable[[], str],
        swapped: float,
    ) -> None:
        self.rng, self.stories, self.names, self.title = rng, stories, names, title
        self.word, self.swapped = word, swapped

    def __call__(self) -> str:
        """Draw a passage."""
        text = self._passage()
        if not self.swapped or self.rng.random() >= self.swapped:
            return text
        share = self.rng.uniform(0.1, 0.5)
        return WORD.sub(lambda match: self.word() if self.rng.random() < share else match[0], text)

    def _passage(self) -> str:
        length = self.rng.randint(1, 8)
        if self.rng.random() < 0.3:
            first, second = self._window(1 + length // 3), self._window(length - length // 3)
            return f"{first} {second}"
        return self._window(length)

    def _window(self, length: int) -> str:
        title, sentences = self.rng.choice(self.stories)
        start = self.rng.randrange(len(sentences)) if self.rng.random() < 0.5 else 0
        text = " ".join(sentences[start : start + length])
        if self.rng.random() < 0.5:
            text = text.replace(title, self.title())
        if self.rng.random() < 0.5:
            text = self._renamed(text)
        return text

    def _renamed(self, text: str) -> str:
        """Give about half of the names another one, the same each time."""
        found = sorted({name for name in NAME.findall(text) if " " in name})
        others = {name: self.rng.choice(self.names) for name in found if self.rng.random() < 0.5}
        if not others:
            return text
        return re.sub("|".join(map(re.escape, others)), lambda match: others[match[0]], text)
