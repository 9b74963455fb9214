"""The fusion is a distribution over allowed items, and learns which source to trust."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from hierrec.fusion.fusion_trainer import EPOCHS, FusionExamples, FusionTrainer
from hierrec.model.checkpoint import CHOSEN_BY, new_model
from hierrec.model.params import TrainParams
from hierrec.model.scorer import Scorer
from hierrec.model.sources import Query, Retrieved
from hierrec.rag.fusion import FLOOR, Fusion, InitialValues, initial_values
from hierrec.rag.params import FusionParams
from hierrec.rag.trends import Trends
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import ndtr
from sklearn.preprocessing import scale

from tests.model.world import ITEMS, make_sequences

WIDTH = 16
START = InitialValues(lowest=-1, highest=2, share=0.5, temperature=0.05)
ALL = np.ones(ITEMS, np.bool_)
ROWS = np.arange(200)
COUNTS = np.arange(ITEMS) ** 2
POPULARITY = scale(np.log1p(COUNTS)).astype(np.float32)
PARAMS = FusionParams(
    sources=("next_items", "items"),
    shortlist=1,
    overlap=0,
    neighbours=1,
    following=2,
    preceding=2,
    item_neighbours=1,
    recent_items=4,
    users=100,
    steps=210,
    batch_users=32,
    learning_rate=0.05,
)


def retrieved(items: list[list[int]], similarities: list[list[float]], ages: list[float]) -> Retrieved:
    found = np.array(items)
    return Retrieved(found, np.array(similarities, np.float32), np.array(ages, np.float32), found)


def after(*lengths: int) -> Query:
    """Return users with so many items each."""
    states = np.zeros((len(lengths), WIDTH), np.float32)
    return Query(states, np.arange(len(lengths)), [np.zeros(length, np.int64) for length in lengths])


def draw(seed: int, users: int = 3) -> tuple[torch.Tensor, Query]:
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randn(users, ITEMS, generator=generator)
    scores[:, :4] = -torch.inf
    return scores, after(*[5] * users)


def test_a_user_who_has_taken_everything_gets_nothing() -> None:
    scores, query = draw(0)
    scores[0] = -torch.inf
    found = retrieved([[5, 6]] * 3, [[0.5, 0.4]] * 3, [0, 1])
    mixture = Fusion([START], COUNTS)(scores, query, [found])
    assert (mixture.scores[0] == -torch.inf).all()
    assert mixture.scores[1:, 4:].isfinite().all()


@given(seed=st.integers(0, 99), count=st.integers(1, 12), missing=st.booleans())
def test_probabilities_sum_to_one_over_what_is_allowed(seed: int, count: int, missing: bool) -> None:
    scores, query = draw(seed)
    generator = torch.Generator().manual_seed(seed)
    items = torch.randint(-1, ITEMS, (3, count), generator=generator)
    if missing:
        items[0] = -1
    ages = torch.randint(-1, 3, (count,), generator=generator)
    found = retrieved(items.tolist(), torch.rand(3, count, generator=generator).tolist(), ages.tolist())
    fusion = Fusion([START, START], COUNTS)
    for parameter in (fusion.power, *fusion.correction.parameters()):
        torch.nn.init.normal_(parameter, generator=generator)
    mixed = fusion(scores, query, [found, found]).scores.exp()
    torch.testing.assert_close(mixed.sum(-1), torch.ones(3))
    assert not mixed[:, :4].any()


def by_definition(
    fusion: Fusion, scores: NDArray, length: int, retrieved: list[tuple[NDArray, NDArray, NDArray]]
) -> NDArray:
    """One user's probabilities [n] as the docstring defines them: every distribution over all items."""
    weights = {name: value.detach().numpy() for name, value in fusion.state_dict().items()}
    temperatures = np.exp(weights["log_temperature"])
    allowed = np.isfinite(scores)
    model = np.where(allowed, np.exp(scores / temperatures[0]), 0)
    distributions, features, sharpening = [model / model.sum()], [], np.zeros(len(scores))
    shares, numbers = [], []
    for source, (items, similarities, ages) in enumerate(retrieved):
        usable = (items >= 0) & allowed[items]
        by_age = weights[f"age_weights.{source}"][ages.astype(int) - fusion.sources[source].lowest]
        share = np.exp(similarities / temperatures[source + 1] + by_age) * usable
        share /= share.sum() or 1
        distribution = np.bincount(items[usable], share[usable], len(scores))
        features += [share @ similarities, distribution.max(), distribution @ distributions[0]]
        sharpening += weights["power"][source] * np.log(distribution + FLOOR)
        distributions.append(distribution)
        shares.append(np.log(1 + distribution / FLOOR) / 2)
        numbers.append(np.log1p(np.bincount(items[usable], minlength=len(scores))) / 2)
    gates = np.exp(weights["gate.weight"] @ [*features, np.log1p(length) / 5] + weights["gate.bias"])
    gates *= [1, *(distribution.any() for distribution in distributions[1:])]
    log_model = np.log(np.where(allowed, distributions[0], 1))
    evidence = [(log_model + 8) / 3, POPULARITY, *shares, *numbers]
    inputs = weights["hidden.weight"] @ np.array(evidence) + weights["hidden.bias"][:, None]  # [H, n]
    hidden = inputs * ndtr(inputs)  # GELU
    retrieved_any = np.sum(numbers, 0) > 0
    correction = np.where(retrieved_any, (weights["correction.weight"] @ hidden)[0] + weights["correction.bias"], 0)
    mixture = np.exp(np.log(gates @ distributions / gates.sum()) + sharpening + correction)
    return np.where(allowed, mixture, 0) / mixture[allowed].sum()


@pytest.mark.filterwarnings("ignore:divide by zero")
@given(seed=st.integers(0, 999), count=st.integers(1, 12))
def test_retrieved_and_other_items_have_the_probability_of_the_definition(seed: int, count: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    scores, query = draw(seed)
    fusion = Fusion([START, START], COUNTS)
    for parameter in fusion.parameters():
        torch.nn.init.normal_(parameter, generator=generator)
    found = []
    for _ in fusion.sources:
        items = torch.randint(-1, ITEMS, (3, count), generator=generator)
        ages = torch.randint(-1, 3, (count,), generator=generator)
        similarities = torch.rand(3, count, generator=generator)
        found.append(retrieved(items.tolist(), similarities.tolist(), ages.tolist()))
    mixed = fusion.double()(scores.double(), query, found).scores.exp()
    for user in range(3):
        one = [(part.items[user], part.similarities[user], part.ages) for part in found]
        expected = by_definition(fusion, scores[user].double().numpy(), len(query.histories[user]), one)
        np.testing.assert_allclose(mixed[user].detach(), expected, rtol=1e-9)
    for item in (0, 4, 7, ITEMS - 1):
        targets = torch.full((3,), item)
        alone = fusion.log_likelihood(scores.double(), query, found, targets)
        np.testing.assert_allclose(alone.detach().exp(), mixed[:, item].detach(), rtol=1e-9)
        assert (alone > -torch.inf).tolist() == [item >= 4] * 3  # the training leaves out what is excluded


@given(seed=st.integers(0, 99))
def test_a_likelihood_has_the_gradients_of_the_whole_distribution(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    scores, query = draw(seed)
    fusion = Fusion([START, START], COUNTS).double()
    for parameter in fusion.parameters():
        torch.nn.init.normal_(parameter, std=0.3, generator=generator)
    items = torch.randint(-1, ITEMS, (3, 6), generator=generator)
    found = [retrieved(items.tolist(), torch.rand(3, 6, generator=generator).tolist(), [0.0] * 6)] * 2
    targets = torch.randint(4, ITEMS, (3,), generator=generator)
    parameters = [*fusion.parameters()]
    alone = fusion.log_likelihood(scores.double(), query, found, targets)
    assert all(gradient.isfinite().all() for gradient in torch.autograd.grad(alone.sum(), parameters))
    scores = scores.double().nan_to_num(neginf=0.0)  # the whole distribution has no gradient with excluded items
    alone = fusion.log_likelihood(scores, query, found, targets)
    whole = fusion(scores, query, found).scores.gather(1, targets[:, None])
    expected, actual = (torch.autograd.grad(values.sum(), parameters) for values in (whole, alone))
    for wanted, got in zip(expected, actual, strict=True):
        torch.testing.assert_close(got, wanted, atol=1e-8, rtol=1e-7)


def test_nothing_retrieved_leaves_the_model_alone() -> None:
    scores, query = draw(0)
    found = retrieved([[-1] * 5] * 3, [[0.0] * 5] * 3, [0.0] * 5)
    mixture = Fusion([START], COUNTS)(scores, query, [found])
    torch.testing.assert_close(mixture.scores, scores.log_softmax(-1))
    assert mixture.shares.tolist() == [[1, 0]] * 3


def test_an_allowed_item_whose_shares_underflow_stays_ahead_of_the_excluded() -> None:
    scores, query = draw(0)
    scores[:, 7] = -500
    fusion = Fusion([START], COUNTS)
    fusion.trust_the_model()
    mixed = fusion(scores, query, [retrieved([[7]] * 3, [[0.5]] * 3, [0])]).scores
    assert (mixed > -torch.inf).tolist() == (scores > -torch.inf).tolist()


def test_interpolation_by_hand() -> None:
    scores = torch.zeros(1, ITEMS)
    found = retrieved([[7, 7, 8]], [[0.9, 0.9, 0.9]], [0.0] * 3)
    fusion = Fusion([InitialValues(0, 0, share=3 / 7, temperature=0.05)], COUNTS)
    mixed = fusion(scores, after(1), [found]).scores
    expected = torch.full((ITEMS,), 0.7 / ITEMS)
    expected[7] += 0.3 * 2 / 3
    expected[8] += 0.3 / 3
    torch.testing.assert_close(mixed[0].exp(), expected)
    with torch.no_grad():
        fusion.power.fill_(0.5)
    sharpened = (
        expected * (torch.zeros(ITEMS).index_add(0, torch.tensor([7, 7, 8]), torch.full((3,), 1 / 3)) + FLOOR).sqrt()
    )
    mixed = fusion(scores, after(1), [found]).scores
    torch.testing.assert_close(mixed[0].exp(), sharpened / sharpened.sum())


def test_weights_fall_with_the_distance_and_what_came_before_counts_less() -> None:
    scores = torch.zeros(1, ITEMS)
    found = retrieved([[5, 6, 7, 8]], [[1.0] * 4], [-1, 0, 1, 2])
    fusion = Fusion([START], COUNTS)
    mixture = fusion(scores, after(3), [found])
    before, now, next_, later = mixture.weights[0][0].tolist()
    assert now > next_ > later > before > 0


def test_the_gate_reads_how_sure_a_source_is_and_how_long_the_history() -> None:
    scores = torch.zeros(1, ITEMS)
    similarities = torch.tensor([[0.9, 0.8, 0.7, 0.6]])
    found = retrieved([[7, 7, 8, 9]], similarities.tolist(), [0.0] * 4)
    fusion = Fusion([InitialValues(0, 0, share=1.0, temperature=1.0)], COUNTS)
    weights = similarities[0].softmax(-1)
    share = torch.stack([weights[0] + weights[1], weights[2], weights[3]])
    length = float(np.log1p(20) / 5)
    sure = [float(weights @ similarities[0]), float(share.max()), float(share.sum() / ITEMS), length]
    for place, value in enumerate(sure):
        with torch.no_grad():
            fusion.gate.weight.zero_()
            fusion.gate.weight[1, place] = 2.0
            mixture = fusion(scores, after(20), [found])
        odds = mixture.shares[0, 1] / mixture.shares[0, 0]
        assert float(odds.log()) == pytest.approx(2 * value, abs=1e-5)


def test_the_seed_draws_the_network() -> None:
    first, same, other = (Fusion([START], COUNTS, seed).hidden.weight for seed in (1, 1, 2))
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


def test_it_starts_at_an_interpolation_that_validation_chose() -> None:
    assert initial_values(PARAMS) == [
        InitialValues(-2, 1, share=1.2, temperature=0.07),
        InitialValues(0, 3, share=0.1, temperature=0.05),
    ]


@pytest.fixture
def base(train_params: TrainParams, frozen: NDArray) -> Scorer:
    """A model that has learned nothing."""
    return Scorer(new_model(train_params, frozen), ALL, dtype=torch.float32)


@pytest.fixture
def examples(monkeypatch: pytest.MonkeyPatch) -> FusionExamples:
    """200 users with the answers of a liar and an oracle to their targets, in several batches."""
    monkeypatch.setattr("hierrec.fusion.fusion_trainer.RETRIEVAL_BATCH", 30)
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

    states = generator.standard_normal((200, WIDTH)).astype(np.float32)
    query = Query(states, np.arange(200), [np.array([0, 1])] * 200)
    return FusionExamples.collect(query, targets, {"next_items": Liar(), "items": Oracle()})


def test_examples_are_in_the_order_of_the_query(examples: FusionExamples) -> None:
    np.testing.assert_array_equal(examples.query.users, ROWS)
    assert len(examples.query.histories) == len(examples.query.states) == 200
    np.testing.assert_array_equal(examples.retrieved["items"].items[:, 0], examples.targets)
    assert len(examples.retrieved["items"].origins[0]) == 0


@pytest.fixture
def trainer(base: Scorer, examples: FusionExamples) -> FusionTrainer:
    return FusionTrainer(PARAMS, base, COUNTS, examples)


def new_fusion() -> Fusion:
    return Fusion([START, START], COUNTS)


def scored(trainer: FusionTrainer) -> tuple[torch.Tensor, Query, Sequence[Retrieved]]:
    return trainer.examples.scored(ROWS, trainer.scorer, PARAMS.sources)


def where_the_model_is_right(trainer: FusionTrainer) -> FusionTrainer:
    """Return the trainer with targets for the last 100 users that the model ranks first, and no source."""
    targets = np.where(ROWS < 100, trainer.examples.targets, scored(trainer)[0].argmax(-1).numpy())
    return replace(trainer, examples=replace(trainer.examples, targets=targets))


@pytest.fixture
def with_trends(base: Scorer, examples: FusionExamples) -> FusionTrainer:
    """A trainer with the liar as source `trending`, and the oracle as source `items`."""
    params = PARAMS.model_copy(update={"sources": ("trending", "items"), "steps": 7})
    sequences = replace(make_sequences([np.arange(4)] * 200), clock=np.arange(800, dtype=np.int32))
    named = dict(zip(params.sources, examples.retrieved.values(), strict=True))
    return FusionTrainer(params, base, COUNTS, replace(examples, retrieved=named), Trends(sequences, ITEMS))


def test_trending_is_left_out_where_held_out_users_lose(with_trends: FusionTrainer) -> None:
    learned = with_trends.learn(ROWS, ROWS)
    assert learned.params.sources == ("items",)
    assert learned.fusion.trends is None
    liar, oracle = with_trends.examples.retrieved.values()
    exchanged = replace(with_trends.examples, retrieved={"trending": oracle, "items": liar})
    kept = replace(with_trends, examples=exchanged).learn(ROWS, ROWS)
    assert kept.params == with_trends.params
    assert kept.fusion.trends is with_trends.trends


def test_the_fusion_of_all_users_has_the_chosen_sources_and_learns_from_both_halves(
    with_trends: FusionTrainer,
) -> None:
    learned = with_trends.learn(ROWS[:100], ROWS[100:])
    assert learned.params.sources == ("items",)
    fusion = with_trends.learn_from_all(learned)
    assert fusion.trends is None
    again = Fusion(initial_values(learned.params), COUNTS, with_trends.scorer.model.params.seed)
    with_trends.train(again, learned.params, ROWS)
    half = Fusion(initial_values(learned.params), COUNTS, with_trends.scorer.model.params.seed)
    with_trends.train(half, learned.params, ROWS[:100])
    for name, weight in again.state_dict().items():
        assert torch.equal(weight, fusion.state_dict()[name])
    assert not torch.equal(half.log_temperature, fusion.log_temperature)


def test_a_fusion_that_gave_no_gain_gives_none_after_learning_from_all(trainer: FusionTrainer) -> None:
    trainer = where_the_model_is_right(trainer)
    fusion = trainer.learn_from_all(trainer.learn(ROWS[:100], ROWS[100:]))
    shares = fusion(*scored(trainer)).shares
    assert torch.equal(shares, torch.tensor([1.0, 0, 0]).expand(200, 3))


def test_the_fusion_of_all_users_stays_untrained_where_training_gave_no_gain(trainer: FusionTrainer) -> None:
    learned = trainer.learn(ROWS[:100], ROWS[100:])
    assert learned.gained
    untrained = learned.curve[0] | {CHOSEN_BY: learned.best}
    fusion = trainer.learn_from_all(learned._replace(curve=[untrained, *learned.curve[1:]]))
    seed = trainer.scorer.model.params.seed
    for name, weight in Fusion(initial_values(PARAMS), COUNTS, seed).state_dict().items():
        assert torch.equal(weight, fusion.state_dict()[name])


def test_few_examples_are_passed_over_thirty_times_at_most(trainer: FusionTrainer) -> None:
    for steps, last in ((180, EPOCHS), (7, 7)):
        params = PARAMS.model_copy(update={"batch_users": 9, "steps": steps})
        curve = trainer.train(new_fusion(), params, ROWS[:9], lambda _: {"ndcg@10": 0.5})
        assert [record["step"] for record in curve] == [0, last]


def test_learns_to_trust_the_source_that_is_right(trainer: FusionTrainer) -> None:
    targets, fusion = trainer.examples.targets, new_fusion()

    def validate(fused: Fusion) -> dict[str, float]:
        with torch.no_grad():
            log_probability = fused(*scored(trainer)).scores
        hit = log_probability.argmax(-1).numpy() == targets
        return {"ndcg@10": float(hit.mean() + log_probability.gather(1, torch.from_numpy(targets)[:, None]).mean())}

    curve = trainer.train(fusion, PARAMS, ROWS, validate)
    with torch.no_grad():
        probability = fusion(*scored(trainer)).scores.exp()
    assert probability.gather(1, torch.from_numpy(targets)[:, None]).mean() > 0.9
    assert curve[-1]["train_loss"] < curve[1]["train_loss"]


def test_the_best_validated_weights_are_kept(trainer: FusionTrainer) -> None:
    fusion, powers = new_fusion(), []

    def validate(fused: Fusion) -> dict[str, float]:
        powers.append(fused.power.detach().clone())
        return {"ndcg@10": (0.1, 0.3, 0.2)[len(powers) - 1]}

    trainer.train(fusion, PARAMS.model_copy(update={"steps": 120}), ROWS, validate)
    assert [torch.equal(fusion.power, power) for power in powers] == [False, True, False]


def test_where_retrieval_does_not_gain_the_model_alone_ranks(trainer: FusionTrainer) -> None:
    gained, lost = (which.learn(ROWS[:100], ROWS[100:]) for which in (trainer, where_the_model_is_right(trainer)))
    assert gained.alone < gained.best
    assert lost.alone == 1 > lost.best
    scores, query, found = scored(trainer)
    with torch.no_grad():
        fused = [learned.fusion(scores, query, found).scores for learned in (gained, lost)]
        mixture = lost.fusion(scores, query, found)
    assert torch.equal(mixture.shares, torch.tensor([1.0, 0, 0]).expand(200, 3))
    allowed = scores > -torch.inf
    expected = (scores / lost.fusion.log_temperature[0].exp()).log_softmax(-1)
    torch.testing.assert_close(fused[1][allowed], expected[allowed], atol=1e-5, rtol=1e-5)
    assert (fused[0].argmax(-1).numpy() == trainer.examples.targets).mean() > 0.9


def test_a_target_that_is_no_candidate_teaches_nothing(trainer: FusionTrainer) -> None:
    scorer = Scorer(trainer.scorer.model, np.arange(ITEMS) != trainer.examples.targets[0], dtype=torch.float32)
    params = PARAMS.model_copy(update={"steps": 7})
    _, record = replace(trainer, scorer=scorer).train(new_fusion(), params, ROWS, lambda _: {"ndcg@10": 0.5})
    assert 0 < record["train_loss"] < np.inf
