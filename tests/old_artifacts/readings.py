"""What a reader gets out of the tiny artifacts: numbers that must stay what they were."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from hierrec.item_llm.store import EmbeddingStore
from hierrec.recommender.checkpoint import load_recommender
from hierrec.recommender.hierarchical import HierarchicalRecommender
from hierrec.recommender.rag import RagRecommender
from hierrec.recommender.rag_checkpoint import load_rag
from hierrec.retrieval.index import ItemIndex

HISTORIES = [np.array([3, 5, 2]), np.array([7])]
USERS = np.array([0, -1])


def store(folder: Path) -> EmbeddingStore:
    """Open and verify the store."""
    opened = EmbeddingStore.open(folder / "store")
    opened.verify()
    return opened


def nearest(folder: Path) -> list:
    """Return the rows of the three nearest items of each item."""
    embeddings = store(folder)
    return ItemIndex.open(folder / "index", embeddings.hash).search(embeddings.whitened(), 3)[1].tolist()


def hierarchical(folder: Path) -> list:
    """Return the scores of the `hierarchical` variant."""
    embeddings = store(folder)
    model, train = load_recommender(folder / "hierarchical", embeddings.whitened(), embeddings.hash)
    return _scores(HierarchicalRecommender(model, train.history))


def rag(folder: Path) -> list:
    """Return the scores of the `rag` variant."""
    embeddings = store(folder)
    frozen = embeddings.whitened()
    index = ItemIndex.build(frozen)
    return _scores(load_rag(folder / "rag", frozen, index, np.ones(len(frozen), np.bool_), embeddings.hash))


def _scores(recommender: HierarchicalRecommender | RagRecommender) -> list:
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
"""By name: scores are numbers, -1 for minus infinity."""
