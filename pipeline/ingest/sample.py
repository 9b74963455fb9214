"""The embedded sample: known films, and generated users whose next film depends on the films before.

With it the whole pipeline runs without a download. The films are public facts, written down for this project. The
users are invented, so metrics on the sample say nothing about real users.
"""

from pathlib import Path

import numpy as np
import polars as pl

from .event_log import INTERACTIONS, ITEMS, EventLog, RawDataset

_START = 956_700_000
"""Seconds since 1970 at which the first user starts."""


def sample_dataset(seed: int = 1, users: int = 600, shortest: int = 8, longest: int = 60) -> RawDataset:
    """Return the films of `sample_films.csv` and `users` generated users.

    All draws are among integers, so that a seed gives the same data set on every platform. A user has `shortest` to
    `longest` interactions.
    """
    films = _films()
    walk = _Walk(films, np.random.default_rng(seed))
    rows: list[int] = []
    lengths = [walk.rng.integers(shortest, longest + 1) for _ in range(users)]
    for length in lengths:
        rows += walk.user(int(length))
    total = len(rows)
    gaps = walk.rng.integers(0, 10, total) * 30  # one film in ten has the time of the film before
    interactions = pl.DataFrame(
        {
            "user_id": np.repeat(np.arange(1, users + 1), lengths),
            "item_id": np.array(rows) + 1,
            "rating": walk.rng.integers(3, 6, total),
            "timestamp": _START + np.cumsum(gaps),
        }
    )
    items = films.select(pl.int_range(1, pl.len() + 1).alias("item_id"), "title", "year", "genres").cast(
        ITEMS
    )
    log = EventLog.of(interactions.cast(INTERACTIONS), items["item_id"])
    return RawDataset("sample", None, items, log)


def _films() -> pl.DataFrame:
    """Read the films: title, year, genres (list), series (null where a film stands alone)."""
    # Polars gets the content, because it takes brackets and stars in a path for a pattern.
    films = pl.read_csv(Path(__file__).with_name("sample_films.csv").read_bytes())
    return films.with_columns(pl.col("genres").str.split("|"))


class _Walk:
    """The films that a user sees, one after the other.

    The weight of a film is popularity x taste x closeness to the last film x closeness to the film before; closeness
    grows with shared genres and near years. In half of the cases, a film of a series is followed by the earliest unseen
    film of the series.
    """

    def __init__(self, films: pl.DataFrame, rng: np.random.Generator) -> None:
        self.rng = rng
        genres = sorted(set(films["genres"].explode()))
        has = [[genre in own for genre in genres] for own in films["genres"].to_list()]
        self.has = np.array(has, np.int64)  # [n, g]
        years = films["year"].to_numpy().astype(np.int64)
        apart = np.abs(years[:, None] - years[None, :])  # [n, n]
        near = 1 + (apart <= 20) + 2 * (apart <= 7)
        self.closeness = (1 + 3 * self.has @ self.has.T) * near  # [n, n]
        self.popularity = 1 + 40 // (1 + rng.permutation(len(films)) // 4)  # [n]
        series = films["series"].to_list()
        by_year = np.argsort(years, kind="stable").tolist()
        self.series = [[k for k in by_year if name and series[k] == name] for name in series]

    def user(self, length: int) -> list[int]:
        """Draw ``length`` different films, as row numbers."""
        taste = self.has[:, self.rng.choice(self.has.shape[1], 2, replace=False)].sum(axis=1)  # [n]
        liking = self.popularity * (1 + 2 * taste)
        unseen = np.ones_like(liking)
        seen: list[int] = []
        for _ in range(length):
            weights = liking * unseen
            if seen:
                weights = weights * self.closeness[seen[-1]] * self.closeness[seen[-2:][0]]
            film = self._draw(weights)
            sequels = [other for other in self.series[seen[-1]] if unseen[other]] if seen else []
            if sequels and self.rng.integers(2):
                film = sequels[0]
            unseen[film] = 0
            seen.append(film)
        return seen

    def _draw(self, weights: np.ndarray) -> int:
        bounds = np.cumsum(weights)
        return int(np.searchsorted(bounds, self.rng.integers(bounds[-1]), side="right"))
