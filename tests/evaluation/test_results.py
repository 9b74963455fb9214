"""Measuring a variant writes its files and a summary with the number of users."""

import json
from contextlib import chdir
from pathlib import Path

import numpy as np
import pytest
from hierrec.core.files import read_details
from hierrec.evaluation.ranks import load_ranks
from hierrec.evaluation.results import measure
from numpy.typing import NDArray

from tests.evaluation.test_protocol import ALL, PARAMS, WALKS, Successor
from tests.model.world import ITEMS


@pytest.mark.parametrize(("most", "of"), [(5, "5 users of 12, drawn at random"), (12, "12 users")])
def test_files_and_summary_are_of_the_users_that_are_drawn(
    tmp_path: Path, frozen: NDArray[np.float32], most: int, of: str
) -> None:
    params = PARAMS.model_copy(update={"users": most})
    with chdir(tmp_path):
        summary = measure("rag", Successor(), WALKS, params, ALL, ALL, frozen)
        metrics = read_details(Path("artifacts/metrics/rag.json"))
        headlines = json.loads(Path("artifacts/metrics/headlines/rag.json").read_text())
        ranks = load_ranks(Path("artifacts/ranks/rag.parquet"))
        assert Path("artifacts/plots/rag_recall.csv").is_file()
    assert summary[0] == f"rag: {of}, {ITEMS} candidates each"
    assert metrics["users"] == ranks["test"].count() == most
    assert headlines["rag"]["ndcg@10"] == metrics["test"]["ndcg@10"] == 1
    assert 0 < metrics["lists"]["diversity@10"] < 2
    counts, test = WALKS.training_counts(ITEMS), ranks["test"].is_not_null().to_numpy()
    assert metrics["lists"]["popularity@10"]["taken"] == pytest.approx(counts[WALKS.test[test]].mean())
