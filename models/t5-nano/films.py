"""Films of MovieLens-1M, their texts, and which of them the distillation may see."""

import hashlib
import json
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path

ARTICLES = "The|A|An|La|Le|Les|L'|Il|El|Der|Die|Das|Lo|Los|Las|Un|Une|I"
TRAILING_ARTICLE = re.compile(rf"^(?P<rest>.*), (?P<article>{ARTICLES})$")


@dataclass(frozen=True)
class Film:
    """One row of movies.dat, its title in reading order."""

    id: str
    title: str
    year: int | None
    genres: tuple[str, ...]

    @property
    def held_out(self) -> bool:
        """Whether the film is kept out of the distillation: one in five, by hash of the id."""
        return int(hashlib.sha256(self.id.encode()).hexdigest(), 16) % 5 == 0

    @property
    def text(self) -> str:
        """The short text that the pipeline encodes by default."""
        return short_text(self.title, self.year, self.genres)


def short_text(title: str, year: int | None, genres: tuple[str, ...]) -> str:
    """Title, year and genres in the form of the pipeline's default template."""
    named = f"{title} ({year})" if year else title
    return f"{named}. Genres: {', '.join(genres)}."


def reading_order(title: str) -> str:
    """Put a trailing article first, in brackets too: "Matrix, The" becomes "The Matrix"."""

    def turn(part: str) -> str:
        match = TRAILING_ARTICLE.match(part.strip())
        if match is None:
            return part.strip()
        gap = "" if match["article"].endswith("'") else " "
        return f"{match['article']}{gap}{match['rest']}"

    outer, *inner = re.split(r"\s*\(([^()]*)\)", title)
    brackets = [f"({turn(part)})" for part in inner[::2] if part.strip()]
    return " ".join([turn(outer), *brackets])


def read_films(archive: Path) -> list[Film]:
    """Read movies.dat from an archive in the official layout, in file order."""
    with zipfile.ZipFile(archive) as opened:
        name = next(name for name in opened.namelist() if name.endswith("movies.dat"))
        lines = opened.read(name).decode("latin-1").splitlines()
    films = []
    for line in lines:
        id, title, genres = line.split("::")
        dated = re.match(r"^(?P<title>.*?)\s*\((?P<year>\d{4})\)\s*$", title)
        year = int(dated["year"]) if dated else None
        films.append(Film(id, reading_order(dated["title"] if dated else title), year, tuple(genres.split("|"))))
    return films


def read_abstracts(path: Path) -> dict[str, str]:
    """Read the abstracts: MovieLens id to English text."""
    return json.loads(path.read_text("utf-8"))
