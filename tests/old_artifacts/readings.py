"""What a reader gets out of the tiny artifacts: numbers that must stay what they were."""

from pathlib import Path

import numpy as np
import torch
from hierrec.item_llm.store import EmbeddingStore
from hierrec.recommender.checkpoint import load_recommender
from hierrec.recommender.hierarchical import HierarchicalRecommender
from hierrec.recommender.rag_checkpoint import load_rag
from hierrec.retrieval.index import ItemIndex

HISTORIES = [np.array([3, 5, 2]), np.array([7])]
USERS = np.array([0, -1])


def readings(folder: Path) -> dict[str, list]:
    """Read every artifact: vectors, whitened vectors, nearest rows, scores of both variants (-1: minus infinity)."""
    store = EmbeddingStore.open(folder / "store")
    store.verify()
    frozen = store.whitened()
    index = ItemIndex.open(folder / "index", store.hash)
    model, train = load_recommender(folder / "hierarchical", frozen, store.hash)
    rag = load_rag(folder / "rag", frozen, index, np.ones(len(frozen), np.bool_), store.hash)
    variants = {"hierarchical": HierarchicalRecommender(model, train.history), "rag": rag}
    with torch.inference_mode():
        scores = {name: variant.score_histories(HISTORIES, USERS) for name, variant in variants.items()}
    return {
        "vectors": store.vectors.tolist(),
        "whitened": frozen.tolist(),
        "nearest": index.search(frozen, 3)[1].tolist(),
        **{name: np.nan_to_num(table.numpy(), neginf=-1.0).tolist() for name, table in scores.items()},
    }
