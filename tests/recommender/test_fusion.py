"""The fusion is a distribution over what may be recommended, and learns whom to trust."""

import numpy as np
import pytest
import torch
from hierrec.params import FusionParams, TrainParams
from hierrec.recommender.checkpoint import new_recommender
from hierrec.recommender.fusion import FLOOR, Fusion, Start
from hierrec.recommender.fusion_examples import FusionExamples
from hierrec.recommender.fusion_trainer import train_fusion
from hierrec.recommender.hierarchical import HierarchicalRecommender
from hierrec.retrieval.sources import Query, Retrieved
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.recommender.world import ITEMS

WIDTH = 16
START = Start(lowest=-1, highest=2, share=0.5, temperature=0.05)


def draw(seed: int, users: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randn(users, ITEMS, generator=generator)
    scores[:, :4] = -torch.inf
    return scores, torch.full((users,), 5)


@given(seed=st.integers(0, 99), count=st.integers(1, 12), missing=st.booleans())
def test_probabilities_sum_to_one_over_what_is_allowed(seed: int, count: int, missing: bool) -> None:
    scores, lengths = draw(seed)
    generator = torch.Generator().manual_seed(seed)
    items = torch.randint(-1, ITEMS, (3, count), generator=generator)
    if missing:
        items[0] = -1
    ages = torch.randint(-1, 3, (count,), generator=generator)
    found = (items, torch.rand(3, count, generator=generator), ages)
    fusion = Fusion([START, START])
    torch.nn.init.normal_(fusion.power, generator=generator)
    mixed = fusion(scores, lengths, [found, found]).exp()
    torch.testing.assert_close(mixed.sum(-1), torch.ones(3))
    assert not mixed[:, :4].any()


def test_nothing_retrieved_leaves_the_model_alone() -> None:
    scores, lengths = draw(0)
    found = (torch.full((3, 5), -1), torch.zeros(3, 5), torch.zeros(5))
    mixed = Fusion([START])(scores, lengths, [found])
    torch.testing.assert_close(mixed, scores.log_softmax(-1))


def test_interpolation_by_hand() -> None:
    scores = torch.zeros(1, ITEMS)
    found = torch.tensor([[7, 7, 8]]), torch.tensor([[0.9, 0.9, 0.9]]), torch.zeros(3)
    fusion = Fusion([Start(0, 0, share=3 / 7, temperature=0.05)])
    mixed = fusion(scores, torch.tensor([1]), [found])
    expected = torch.full((ITEMS,), 0.7 / ITEMS)
    expected[7] += 0.3 * 2 / 3
    expected[8] += 0.3 / 3
    torch.testing.assert_close(mixed[0].exp(), expected)
    with torch.no_grad():
        fusion.power.fill_(0.5)
    sharpened = (
        expected * (torch.zeros(ITEMS).index_add(0, found[0][0], torch.full((3,), 1 / 3)) + FLOOR).sqrt()
    )
    mixed = fusion(scores, torch.tensor([1]), [found])
    torch.testing.assert_close(mixed[0].exp(), sharpened / sharpened.sum())


def test_weights_fall_with_the_distance_and_what_came_before_counts_less() -> None:
    scores = torch.zeros(1, ITEMS)
    items = torch.tensor([[5, 6, 7, 8]])
    fusion = Fusion([START])
    mixture = fusion.mix(scores, torch.tensor([3]), [(items, torch.ones(1, 4), torch.tensor([-1, 0, 1, 2]))])
    before, now, next_, later = mixture.weights[0][0].tolist()
    assert now > next_ > later > before > 0


def test_learns_to_trust_the_source_that_is_right(
    train_params: TrainParams, frozen: NDArray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hierrec.recommender.fusion_examples.RETRIEVAL_BATCH", 30)
    generator = np.random.default_rng(0)
    targets = generator.integers(4, ITEMS, size=200)

    class Oracle:
        def retrieve(self, query: Query) -> Retrieved:
            right = targets[query.users][:, None]
            return Retrieved(right, np.ones_like(right, np.float32), np.zeros(1, np.float32), right)

    class Liar:
        def retrieve(self, query: Query) -> Retrieved:
            wrong = (targets[query.users][:, None] + 1) % ITEMS
            return Retrieved(wrong, np.ones_like(wrong, np.float32), np.zeros(1, np.float32), wrong)

    base = HierarchicalRecommender(new_recommender(train_params, frozen), 10, torch.float32)
    states = generator.standard_normal((200, WIDTH)).astype(np.float32)
    histories = [np.array([0, 1])] * 200
    examples = FusionExamples.collect(
        states, np.arange(200), histories, targets, {"liar": Liar(), "oracle": Oracle()}
    )
    candidates = np.ones(ITEMS, np.bool_)
    fusion = Fusion([START, START])

    def validate(fused: Fusion) -> dict[str, float]:
        with torch.no_grad():
            log_probability = examples.fuse(np.arange(200), base, fused, candidates)
        hit = log_probability.argmax(-1).numpy() == targets
        return {
            "ndcg@10": float(
                hit.mean() + log_probability.gather(1, torch.from_numpy(targets)[:, None]).mean()
            )
        }

    params = FusionParams(
        sources=("next_items", "items"),
        shortlist=1,
        overlap=0,
        neighbours=1,
        following=1,
        preceding=0,
        item_neighbours=1,
        recent_items=1,
        epochs=30,
        batch_users=32,
        learning_rate=0.05,
    )
    curve = train_fusion(fusion, base, examples, candidates, params, 0, validate)
    with torch.no_grad():
        probability = examples.fuse(np.arange(200), base, fusion, candidates).exp()
    assert probability.gather(1, torch.from_numpy(targets)[:, None]).mean() > 0.9
    assert curve[-1]["train_loss"] < curve[1]["train_loss"]
