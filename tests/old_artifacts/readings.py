"""The numbers that readers return for the tiny artifacts. They must not change."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import torch
from hierrec.core.sequences import NO_TARGET, Sequences
from hierrec.model.checkpoint import load_model
from hierrec.model.inputs import Inputs
from hierrec.model.scorer import Scorer
from hierrec.rag.checkpoint import load_rag
from hierrec.reuse.diagnosis import diagnose
from hierrec.search.index import ItemIndex
from hierrec.store.store import EmbeddingStore

HISTORIES = [np.array([3, 5, 2]), np.array([7])]
USERS = np.array([0, -1])


def store(folder: Path) -> EmbeddingStore:
    """Open the store; raise its first problem."""
    opened = EmbeddingStore.open(folder / "store")
    for problem in diagnose(opened.folder):
        raise problem
    return opened


def nearest(folder: Path) -> list:
    """Return the rows of the three nearest items of each item."""
    embeddings = store(folder)
    return ItemIndex.open(folder / "index", embeddings.hash).search(embeddings.whitened(), 3)[1].tolist()


def hierarchical(folder: Path) -> list:
    """Return the scores of the `hierarchical` variant."""
    embeddings = store(folder)
    model = load_model(folder / "hierarchical", embeddings.whitened(), embeddings.hash)
    scorer = Scorer(model, np.ones(len(model.members[0].items), np.bool_))
    scorer.repeated = True  # nothing is masked
    return _scores(scorer)


def rag(folder: Path) -> list:
    """Return the scores of the `rag` variant."""
    embeddings = store(folder)
    frozen = embeddings.whitened()
    everything = np.ones(len(frozen), np.bool_)
    inputs = Inputs(embeddings.items, _data(), everything, everything, frozen, embeddings.hash)
    return _scores(load_rag(folder / "rag", inputs, ItemIndex.build(frozen)))


def _data() -> Sequences:
    """Return the data of the datastore in git: users with three entries after a first item."""
    entries = Path(__file__).parent / "version_2" / "rag" / "datastore" / "entries.parquet"
    remembered = pl.read_parquet(entries)["next_item"].to_numpy()
    items = np.insert(remembered.reshape(-1, 3), 0, 0, axis=1).astype(np.int64)  # [U, 4]
    nobody = np.full(len(items), NO_TARGET)
    offsets = np.arange(len(items) + 1) * items.shape[1]
    lengths = np.full(len(items), items.shape[1])
    return Sequences(items.ravel(), offsets, lengths, lengths, nobody, nobody)


def _scores(recommender: Scorer) -> list:
    with torch.inference_mode():
        scores = recommender.score_histories(HISTORIES, USERS).numpy()  # [2, n]
    return np.nan_to_num(scores, neginf=-1.0).tolist()


READINGS: dict[str, Callable[[Path], list]] = {
    "vectors": lambda folder: store(folder).vectors[:].tolist(),
    "whitened": lambda folder: store(folder).whitened().tolist(),
    "nearest": nearest,
    "hierarchical": hierarchical,
    "rag": rag,
}
"""Readers by name; scores of minus infinity are -1."""
