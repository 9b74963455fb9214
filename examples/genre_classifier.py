"""Predict whether an item has a genre, from item embeddings with scikit-learn: genre_classifier.py [GENRE]."""

import sys

import polars as pl
from hierrec.store.store import EmbeddingStore
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score

# %% Read the whitened vectors, the models' input, and the items in the same order.
genre = sys.argv[1] if len(sys.argv) > 1 else "Comedy"
store = EmbeddingStore.open("artifacts/item_embeddings")
vectors = store.whitened()  # float32 [n, F]
items = pl.read_parquet("artifacts/data/items.parquet")
assert store.item_ids == items["item_id"].to_list()
labels = items["genres"].list.contains(genre).to_numpy()  # bool [n]
print(f"{labels.sum()} of {len(labels)} items are {genre}")
if not 5 <= labels.sum() <= len(labels) - 5:
    sys.exit("five-fold cross-validation needs 5 items with the genre and 5 without it: name another genre")

# %% Five-fold cross-validation. The texts name the genres, so this tests whether the vectors keep them.
for name, classifier in {
    "chance": DummyClassifier(),
    "embeddings": LogisticRegression(max_iter=1000),
}.items():
    scores = cross_val_score(classifier, vectors, labels, cv=5, scoring="average_precision")
    print(f"{name:10} average precision {scores.mean():.3f}")
