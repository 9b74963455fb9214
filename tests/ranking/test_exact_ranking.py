"""Ranking is exact: evaluation scores the whole catalogue and never asks an index."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hierrec.core.files import read_json
from hierrec.index.build import build_index
from hierrec.model.inputs import Inputs
from hierrec.rag.checkpoint import load_rag
from hierrec.ranking.evaluator import rank_targets
from hierrec.search.index import ApproximateSearchWarning, ItemIndex

from tests.stages.imports import code_files, top_level_imports


def test_the_hierarchical_variant_is_evaluated_without_any_index() -> None:
    assert not [path for path in code_files("evaluate_hierarchical") if "/index" in path]
    assert "faiss" not in top_level_imports("evaluate_hierarchical")


def test_the_sample_is_searched_exactly(artifacts: Path) -> None:
    assert read_json(artifacts / "index" / "manifest.json")["exact"] is True


def test_an_approximate_index_says_so_and_leaves_no_item_unranked(
    artifacts: Path, inputs: Inputs, tmp_path: Path
) -> None:
    build_index(inputs.frozen, tmp_path / "index", inputs.store_hash, "ivf", recall=0.1)
    with pytest.warns(ApproximateSearchWarning, match=r"recall@20 0\.\d"):
        approximate = ItemIndex.open(tmp_path / "index", inputs.store_hash)
    exact = ItemIndex.open(artifacts / "index", inputs.store_hash)
    users = np.arange(50)
    histories = [inputs.sequences.items[inputs.sequences.offsets[user] :][:5] for user in users]
    scores = []
    for index in (exact, approximate):
        folder = artifacts / "models" / "rag"
        rag = load_rag(folder, inputs, index)
        with torch.inference_mode():
            scores.append(rag.score_histories(histories, users))  # [50, n]
        targets = np.array([inputs.sequences.items[inputs.sequences.offsets[user] + 5] for user in users])
        ranks = rank_targets(rag, histories, targets, inputs.candidates, batch_users=50)
        assert np.isfinite(ranks).all()
    # Other items are retrieved, so scores differ; the scored items are the same.
    assert not torch.equal(scores[0], scores[1])
    assert torch.equal(scores[0].isfinite(), scores[1].isfinite())
    assert scores[0].isfinite().sum(1).tolist() == [int(inputs.candidates.sum()) - 5] * 50
