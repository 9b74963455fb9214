"""The embedded sample: known films, and generated users whose next film depends on the films before.

With it the whole pipeline runs without a download. The films are public facts, written down for this project. The
users are invented, so metrics on the sample say nothing about real users.
"""

from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from .event_log import INTERACTIONS, ITEMS, EventLog, RawDataset

_START = 956_700_000  # seconds since 1970 at which the first user starts


def sample_dataset(seed: int = 1, users: int = 600, shortest: int = 8, longest: int = 60) -> RawDataset:
    """Return the films of `sample_films.csv` and `users` generated users of `shortest` to `longest` interactions.

    All draws are among integers, so that a seed gives the same data set on every platform.
    """
    # Polars gets the content, because it takes brackets and stars in a path for a pattern.
    films = pl.read_csv(Path(__file__).with_name("sample_films.csv").read_bytes())
    films = films.with_columns(pl.col("genres").str.split("|"))
    rng = np.random.default_rng(seed)
    popularity = 1 + 40 // (1 + rng.permutation(len(films)) // 4)  # [n]
    lengths = [int(rng.integers(shortest, longest + 1)) for _ in range(users)]
    rows = _histories(films, popularity, lengths, rng)
    gaps = rng.integers(0, 10, len(rows)) * 30  # one film in ten has the time of the film before
    interactions = pl.DataFrame(
        {
            "user_id": np.repeat(np.arange(1, users + 1), lengths),
            "item_id": np.array(rows) + 1,
            "rating": rng.integers(3, 6, len(rows)),
            "timestamp": _START + np.cumsum(gaps),
        }
    )
    items = films.select(pl.int_range(1, pl.len() + 1).alias("item_id"), *list(ITEMS)[1:]).cast(ITEMS)
    log = EventLog.of(interactions.cast(INTERACTIONS), items["item_id"])
    return RawDataset("sample", None, items, log)


def _histories(
    films: pl.DataFrame, popularity: NDArray[np.int64], lengths: list[int], rng: np.random.Generator
) -> list[int]:
    """Return the row numbers of the films of all users, one user after the other; a user's films are different.

    The weight of a film is popularity x taste x closeness to the last film x closeness to the film before; closeness
    grows with shared genres and near years. In half of the cases, a film of a series (null: it stands alone) is
    followed by the earliest unseen film of the series.
    """
    genres = sorted(set(films["genres"].explode()))
    has = np.array([[genre in own for genre in genres] for own in films["genres"].to_list()], np.int64)  # [n, g]
    years = films["year"].to_numpy().astype(np.int64)
    apart = np.abs(years[:, None] - years[None, :])  # [n, n]
    closeness = (1 + 3 * has @ has.T) * (1 + (apart <= 20) + 2 * (apart <= 7))  # [n, n]
    named, by_year = films["series"].to_list(), np.argsort(years, kind="stable").tolist()
    series = [[k for k in by_year if name and named[k] == name] for name in named]
    histories: list[int] = []
    for length in lengths:
        taste = has[:, rng.choice(len(genres), 2, replace=False)].sum(axis=1)  # [n]
        liking = popularity * (1 + 2 * taste)  # [n]
        unseen = np.ones_like(liking)  # [n]
        seen: list[int] = []
        for _ in range(length):
            weights = liking * unseen
            if seen:
                weights = weights * closeness[seen[-1]] * closeness[seen[-2:][0]]
            bounds = np.cumsum(weights)
            film = int(np.searchsorted(bounds, rng.integers(bounds[-1]), side="right"))
            sequels = [other for other in series[seen[-1]] if unseen[other]] if seen else []
            if sequels and rng.integers(2):
                film = sequels[0]
            unseen[film] = 0
            seen.append(film)
        histories += seen
    return histories
