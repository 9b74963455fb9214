import hashlib
import subprocess
import sys

import numpy as np
import polars as pl
import pytest
from hierrec.ingest.dataset import Dataset, build
from hierrec.ingest.sample import sample_dataset
from polars.testing import assert_frame_equal

from tests.ingest.own_tables import events

GENRES = [
    "Action",
    "Adventure",
    "Animation",
    "Children's",
    "Comedy",
    "Crime",
    "Documentary",
    "Drama",
    "Fantasy",
    "Film-Noir",
    "Horror",
    "Musical",
    "Mystery",
    "Romance",
    "Sci-Fi",
    "Thriller",
    "War",
    "Western",
]

DIGEST = "eef9f6c2072373c86a3297ee453e8b523c85a5fa2441e7ed3df32b0e6cf10dfc"
"""SHA-256 of 30 users as CSV: integers only, so it holds on every platform."""


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return build(sample_dataset())


def test_shape(dataset: Dataset) -> None:
    assert dataset.counts == {"candidates": 277, "interactions": 20_124, "items": 278, "users": 600}
    lengths = dataset.interactions.group_by("user").len()["len"]
    assert (lengths.min(), lengths.max()) == (8, 60)
    assert not dataset.interactions.select("user", "item").is_duplicated().any()


def test_films(dataset: Dataset) -> None:
    items = dataset.items
    assert not items.select("title", "year").is_duplicated().any()
    assert items["year"].is_between(1895, 2025).all()
    assert sorted(set(items["genres"].explode())) == GENRES
    assert items["genres"].list.len().is_between(1, 5).all()
    assert (items["genres"].list.sort() == items["genres"]).all()
    assert (items["title"] == items["title"].str.strip_chars()).all()
    decades = (items["year"] // 10).value_counts().filter(pl.col("count") >= 5)
    assert len(decades) >= 8


def test_one_seed_gives_one_data_set_in_any_process() -> None:
    table = events(sample_dataset(users=30))
    digest = hashlib.sha256(table.write_csv().encode()).hexdigest()
    imports = "from hierrec.ingest.sample import *; from tests.ingest.own_tables import events"
    code = f"{imports}; print(events(sample_dataset(users=30)).write_csv(), end='')"
    outside = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout
    assert hashlib.sha256(outside).hexdigest() == digest == DIGEST
    assert_frame_equal(events(sample_dataset(users=30)), table)
    assert not events(sample_dataset(seed=2, users=30)).equals(table)


def recall_at_10(dataset: Dataset, scores_of_next: np.ndarray) -> float:
    """Recall of the test item, where row i of ``scores_of_next`` [n, n] scores the items after i."""
    histories = dataset.interactions.group_by("user", maintain_order=True).agg("item")["item"]
    hits = []
    for history, test in zip(histories, dataset.split["test"], strict=True):
        rows = history.to_list()[:-1]
        scores = scores_of_next[rows[-1]].copy()
        scores[rows] = -np.inf
        hits.append((scores > scores[test]).sum() < 10)
    return float(np.mean(hits))


def test_order_and_metadata_say_more_than_popularity(dataset: Dataset) -> None:
    n = len(dataset.items)
    train = dataset.interactions.join(dataset.split, on="user").filter(pl.col("position") < pl.col("train_length"))
    popularity = np.bincount(train["item"], minlength=n).astype(float)
    pairs = train.with_columns(next=pl.col("item").shift(-1).over("user")).drop_nulls("next")
    follows = np.zeros((n, n))
    np.add.at(follows, (pairs["item"].to_numpy(), pairs["next"].to_numpy()), 1)
    has = np.array([[genre in own for genre in GENRES] for own in dataset.items["genres"].to_list()], float)
    years = dataset.items["year"].to_numpy()
    alike = has @ has.T - np.abs(years[:, None] - years[None]) / 30

    popular = recall_at_10(dataset, np.tile(popularity, (n, 1)))
    assert popular > 20 / n  # popularity beats chance
    assert recall_at_10(dataset, follows + 1e-6 * popularity) > 2 * popular
    assert recall_at_10(dataset, alike) > 2 * popular
