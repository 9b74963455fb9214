"""Stage `corpus`: the texts that the teacher will read.

Texts of training films come first (so that any prefix of the corpus holds them), the rest shuffled.
"""

import bisect
import itertools
import random
import re
from collections.abc import Callable
from pathlib import Path

import polars as pl
from films import Film, read_abstracts, read_films, short_text
from passages import NAME, PassageMixer
from settings import load_params
from teacher import vocabulary
from titles import TitleMaker
from wordnet import read_synsets

SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z\"'])")


def plain(title: str) -> str:
    """A title as compared: letters and digits only, small."""
    return re.sub(r"[^a-z0-9]+", " ", title.lower()).strip()


def without_titles(abstract: str, titles: re.Pattern[str]) -> list[str]:
    """Sentences of an abstract, less those that name one of the titles."""
    return [sentence for sentence in SENTENCE_END.split(abstract) if not titles.search(sentence)]


def word_source(rng: random.Random, common: list[str], rare: list[str]) -> Callable[[], str]:
    """Draw words: three of four from `common` (its order is by frequency), falling slowly with the rank."""
    weights = list(itertools.accumulate((rank + 200) ** -0.5 for rank in range(len(common))))

    def draw() -> str:
        if rng.random() < 0.75:
            return common[bisect.bisect_left(weights, rng.random() * weights[-1])]
        return rng.choice(rare)

    return draw


def film_text(rng: random.Random, title: str, year: int, genres: tuple[str, ...]) -> str:
    """A film in the default form, or one time in five in another."""
    if rng.random() < 0.8:
        return short_text(title, year, genres)
    listed = ", ".join(genres)
    forms = (
        f"{title} ({year})",
        f"{title}. {listed}",
        f"{title} | {year} | {listed}",
        f"{listed}: {title} ({year})",
        f"Title: {title}. Year: {year}. Genres: {listed}.",
        f"{title} is a {year} {' '.join(genres).lower()} film.",
    )
    return rng.choice(forms)


def build(films: list[Film], abstracts: dict[str, str], debian: Path, params: dict) -> pl.DataFrame:
    """Build the corpus: columns kind and text; no text twice."""
    rng = random.Random(params["seed"])
    train = [film for film in films if not film.held_out]
    banned = {plain(film.title) for film in films if film.held_out}
    several = sorted({film.title for film in films if film.held_out and " " in film.title}, key=len, reverse=True)
    naming = re.compile(r"\b(?:" + "|".join(map(re.escape, several)) + r")(?!\w)")
    passages = {
        film.id: sentences
        for film in train
        if film.id in abstracts and (sentences := without_titles(abstracts[film.id], naming))
    }
    synsets = list(read_synsets(debian / "usr/share/wordnet"))
    lemmas = sorted({lemma for names, _ in synsets for lemma in names})
    listed = (debian / "usr/share/dict/american-english-large").read_text("utf-8").split("\n")
    sentences = [sentence for film in passages.values() for sentence in film]
    names = [name for sentence in sentences for name in NAME.findall(sentence)]
    names += [word for word in listed if re.fullmatch(r"[A-Z][a-z]{2,}", word)][::4]
    names += [lemma for lemma in lemmas if lemma[:1].isupper() and re.fullmatch(r"[A-Za-z ]+", lemma)]
    common = [word for word in vocabulary() if re.fullmatch(r"[a-z]{3,}", word)]
    rare = [lemma for lemma in lemmas if re.fullmatch(r"[a-z]{3,}", lemma)]
    rare += [word for sentence in sentences for word in re.findall(r"[A-Za-z]{4,}", sentence)][::4]
    word = word_source(rng, common, rare)
    glosses = [gloss for _, gloss in synsets]
    make = TitleMaker(rng, word, [film.title for film in train], names, lemmas, sentences + glosses[::4])

    def title() -> str:
        while plain(drawn := make()) in banned or not drawn.strip():
            pass
        return drawn

    first = [("film", film.text) for film in train]
    first += [("abstract", " ".join(passage)) for passage in passages.values()]
    rest: list[tuple[str, str]] = []
    for index in range(params["film_texts"]):
        like = rng.choice(train)
        named = rng.choice(train).title if index % 12 == 0 else title()
        year = like.year or 1995
        rest.append(("film", film_text(rng, named, year, rng.choice((like, rng.choice(train))).genres)))
    rest += [("phrase", title() if rng.random() < 0.5 else word()) for _ in range(params["phrases"])]
    for names_of, gloss in rng.sample(synsets, min(params["glosses"], len(synsets))):
        short = gloss.split(";")[0] if rng.random() < 0.7 else gloss
        rest.append(("gloss", rng.choice((short, f"{names_of[0]}: {short}", f"{', '.join(names_of)}: {short}"))))
    keys = sorted(passages)
    by_id = {film.id: film for film in train}
    for _ in range(params["passages"]):
        key = rng.choice(keys)
        passage = passages[key]
        start = rng.randrange(len(passage))
        span = " ".join(passage[start : start + rng.choice((1, 1, 1, 2, 3))])
        rest.append(("passage", f"{by_id[key].text} {span}" if rng.random() < 0.15 else span))
    rng.shuffle(rest)
    rest = rest[: params["short_texts"]]
    rng = random.Random(params["seed"] + 1)
    word = word_source(rng, common, rare)
    invent = TitleMaker(rng, word, make.titles, names, lemmas, make.passages)
    stories = [(by_id[key].title, passages[key]) for key in keys]
    mixer = PassageMixer(rng, stories, [name for name in names if " " in name], invent, word, params["swapped"])
    rest += [
        ("passage", text) for text in (mixer() for _ in range(params["mixed_passages"])) if not naming.search(text)
    ]
    rng.shuffle(rest)
    corpus = pl.DataFrame(first + rest, schema=["kind", "text"], orient="row")
    return corpus.unique("text", keep="first", maintain_order=True)


def main() -> None:
    """Write work/corpus.parquet."""
    params = load_params()
    inputs = params["inputs"]
    films, abstracts = read_films(Path(inputs["archive"])), read_abstracts(Path(inputs["abstracts"]))
    corpus = build(films, abstracts, Path(inputs["debian"]), params["corpus"])
    Path("work").mkdir(exist_ok=True)
    corpus.write_parquet("work/corpus.parquet", compression="zstd")
    print(corpus.group_by("kind").len().sort("kind"))


if __name__ == "__main__":
    main()
