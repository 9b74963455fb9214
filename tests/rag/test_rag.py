"""The `rag` variant asks its sources and its fusion for the given users."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hierrec.core.errors import CheckpointError
from hierrec.model.checkpoint import new_model
from hierrec.model.params import TrainParams
from hierrec.model.scorer import Scorer
from hierrec.model.sources import Query, Retrieved
from hierrec.params import load_params
from hierrec.rag.checkpoint import of_held_out, save_rag
from hierrec.rag.fusion import Fusion, InitialValues
from numpy.typing import NDArray

from tests.model.world import ITEMS

ALL = np.ones(ITEMS, np.bool_)
PARAMS = load_params(Path(__file__).parents[2] / "params.yaml").fusion
HISTORIES = [np.arange(2), np.arange(9), np.arange(20)]
USERS = np.array([3, 5, -1])


class Listening:
    """Finds one item for any user; records the queries."""

    def __init__(self) -> None:
        self.queries: list[Query] = []

    def retrieve(self, query: Query) -> Retrieved:
        """Return the last item of the catalogue."""
        self.queries.append(query)
        found = np.full((len(query.users), 1), ITEMS - 1)
        return Retrieved(found, np.ones_like(found, np.float32), np.zeros(1, np.float32), found)


def test_evaluation_and_recommendation_name_the_users_and_read_the_whole_length(
    train_params: TrainParams, frozen: NDArray
) -> None:
    model = new_model(train_params, frozen).eval()
    fusion = Fusion([InitialValues(0, 0, share=0.5, temperature=0.05)], np.arange(ITEMS))
    with torch.no_grad():
        fusion.gate.weight[1, -1] = 1.0  # trusts the source more, the longer the history
    base, source = Scorer(model, ALL, dtype=torch.float32), Listening()
    scorer = Scorer(model, ALL, {"next_items": source}, fusion, torch.float32)
    evaluated, scored = scorer.score_histories(HISTORIES, USERS), scorer.score(HISTORIES, USERS)
    with torch.inference_mode():
        found = source.retrieve(scored.query)
        expected = fusion(base.score_histories(HISTORIES, USERS), scored.query, [found]).scores
    torch.testing.assert_close(evaluated, expected)
    torch.testing.assert_close(scored.scores, expected)
    for query in source.queries:
        assert query.users.tolist() == USERS.tolist()
        assert [history.tolist() for history in query.histories] == [history.tolist() for history in HISTORIES]
    assert len(source.queries) == 3


def test_a_scorer_in_float64_leaves_fusion_and_model_as_they_are(train_params: TrainParams, frozen: NDArray) -> None:
    model, fusion = (
        new_model(train_params, frozen),
        Fusion([InitialValues(0, 0, share=0.5, temperature=0.05)], np.arange(ITEMS)),
    )
    Scorer(model, ALL, {"next_items": Listening()}, fusion)
    parameters = [*model.parameters(), *fusion.parameters()]
    assert {parameter.dtype for parameter in parameters} == {torch.float32}


def test_validation_targets_are_ranked_by_the_fusion_of_half_of_the_users(
    tmp_path: Path, train_params: TrainParams, frozen: NDArray
) -> None:
    model, initial = new_model(train_params, frozen), [InitialValues(0, 0, share=0.5, temperature=0.05)]
    fusion, half = (Fusion(initial, np.arange(ITEMS), seed) for seed in (1, 2))
    save_rag(tmp_path / "rag", model, fusion, PARAMS, None, "hash", of_half=half)
    scorer = Scorer(model, ALL, {"next_items": Listening()}, fusion)
    held_out = of_held_out(scorer, tmp_path / "rag")
    assert (held_out.model, held_out.sources) == (scorer.model, scorer.sources)
    for other, found in ((half, held_out.fusion), (fusion, scorer.fusion)):
        assert isinstance(found, Fusion)
        assert torch.equal(found.hidden.weight, other.hidden.weight.double())
    save_rag(tmp_path / "rag", model, fusion, PARAMS, None, "hash")
    with pytest.raises(CheckpointError, match=r"fusion_of_half\.safetensors cannot be read"):
        of_held_out(scorer, tmp_path / "rag")
