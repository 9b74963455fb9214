"""The `rag` variant asks its sources and its fusion for the users at hand."""

import numpy as np
import torch
from hierrec.model.checkpoint import new_recommender
from hierrec.model.hierarchical import HierarchicalRecommender
from hierrec.model.params import TrainParams
from hierrec.rag.fusion import Fusion, Start
from hierrec.rag.rag import RagRecommender, recommendable
from hierrec.rag.sources import Query, Retrieved
from hierrec.serving.scoring import Scorer
from numpy.typing import NDArray

from tests.model.world import ITEMS

ALL = np.ones(ITEMS, np.bool_)
HISTORIES = [np.arange(2), np.arange(9), np.arange(20)]
USERS = np.array([3, 5, -1])


class Listening:
    """Finds one item for everyone; keeps what it was asked."""

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
    model = new_recommender(train_params, frozen).eval()
    fusion = Fusion([Start(0, 0, share=0.5, temperature=0.05)])
    with torch.no_grad():
        fusion.gate.weight[1, -1] = 1.0  # trusts the source more, the longer the history
    base, source = HierarchicalRecommender(model, train_params.history, torch.float32), Listening()
    with torch.inference_mode():
        evaluated = RagRecommender(base, {"next_items": source}, fusion, ALL).score_histories(
            HISTORIES, USERS
        )
        scored = Scorer(model, train_params.history, ALL, {"next_items": source}, fusion).score(
            HISTORIES, USERS
        )
        found = torch.full((3, 1), ITEMS - 1), torch.ones(3, 1), torch.zeros(1)
        model_scores = recommendable(base.score_histories(HISTORIES, USERS), HISTORIES, ALL)
        expected = fusion(model_scores, torch.tensor([2, 9, 20]), [found])
    torch.testing.assert_close(evaluated, expected)
    torch.testing.assert_close(scored.scores, expected)
    for query in source.queries:
        assert query.users.tolist() == USERS.tolist()
        assert [history.tolist() for history in query.histories] == [
            history.tolist() for history in HISTORIES
        ]
    assert len(source.queries) == 2


def test_a_recommender_in_float64_leaves_fusion_and_model_as_they_are(
    train_params: TrainParams, frozen: NDArray
) -> None:
    model, fusion = new_recommender(train_params, frozen), Fusion([Start(0, 0, share=0.5, temperature=0.05)])
    RagRecommender(
        HierarchicalRecommender(model, train_params.history), {"next_items": Listening()}, fusion, ALL
    )
    parameters = [*model.parameters(), *fusion.parameters()]
    assert {parameter.dtype for parameter in parameters} == {torch.float32}
