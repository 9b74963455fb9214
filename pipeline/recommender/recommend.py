"""Recommendations for people: ids and titles instead of rows and scores."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch

from ..data.tables import load_items, load_users
from ..errors import DataError
from ..retrieval.index import ItemIndex
from .checkpoint import load_recommender
from .hierarchical import HierarchicalRecommender
from .inputs import load_inputs
from .rag import RagRecommender, recommendable
from .rag_checkpoint import load_rag


def recommend_to_user(artifacts: Path, variant: str, user_id: str, count: int) -> dict[str, Any]:
    """Recommend the next items to a user of the data set, whose whole sequence is the history.

    Args:
        artifacts: folder that the stages wrote.
        variant: `hierarchical` or `rag`.
        user_id: the user's id in the data set.
        count: items to recommend at most.

    Returns:
        `{"user": id, "history": [titles], "recommended": [titles]}`

    Raises:
        DataError: there is no such user, or an artifact is missing or damaged.
    """
    data = artifacts / "data"
    items = load_items(data / "items.parquet")
    users = load_users(data / "users.parquet")["user_id"]
    rows = users.index_of(user_id)
    if rows is None:
        raise DataError(
            f"there is no user {user_id!r}", str(data / "users.parquet"), f"e.g. {users[0]}, {users[-1]}"
        )
    inputs = load_inputs(data, artifacts / "item_embeddings")
    scorer: HierarchicalRecommender | RagRecommender
    if variant == "hierarchical":
        model, train = load_recommender(
            artifacts / "models" / "hierarchical", inputs.frozen, inputs.store_hash
        )
        scorer = HierarchicalRecommender(model, train.history)
    else:
        index = ItemIndex.open(artifacts / "index", inputs.store_hash)
        scorer = load_rag(
            artifacts / "models" / "rag", inputs.frozen, index, inputs.candidates, inputs.store_hash
        )
    sequences = inputs.sequences
    history = sequences.items[sequences.offsets[rows] : sequences.offsets[rows + 1]]
    with torch.inference_mode():
        scores = scorer.score_histories([history], np.array([rows]))  # [1, n]
        scores = recommendable(scores, [history], inputs.candidates)[0]  # [n]
    order = scores.sort(descending=True, stable=True).indices[: min(count, int((scores > -torch.inf).sum()))]
    titles = items.select(
        pl.when(pl.col("year").is_null())
        .then(pl.col("title"))
        .otherwise(pl.format("{} ({})", "title", "year"))
    ).to_series()
    return {
        "user": user_id,
        "history": titles.gather(history).to_list(),
        "recommended": titles.gather(order.numpy()).to_list(),
    }
