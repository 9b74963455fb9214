"""Why something is recommended: reasons that account for the probability, and name what was matched."""

from math import expm1, log
from pathlib import Path

import numpy as np
import pytest
import torch
from hierrec import Recommender
from hierrec.rag.fusion import FLOOR, Fusion
from hierrec.serving.answers import Match
from hierrec.serving.why import _because
from hierrec.store.store import EmbeddingStore

HISTORY = ["Toy Story (1995)", "heat"]


@pytest.fixture(scope="module")
def rag(artifacts: Path) -> Recommender:
    return Recommender.load(artifacts / "models" / "rag")


def test_reasons_account_for_the_probability(rag: Recommender, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the correction, the probability is the mixture, sharpened by the sources' shares, up to a constant."""
    sources = ("next_items", "items", "co_occurring")
    power = np.array([0.3, 0.1, 0.2], np.float32)
    fusion = rag._scorer.fusion
    assert isinstance(fusion, Fusion)
    # The sample's training may leave the power at zero, which would hide an error.
    monkeypatch.setattr(fusion.power, "data", torch.from_numpy(power))
    for parameter in fusion.correction.parameters():
        monkeypatch.setattr(parameter, "data", torch.zeros_like(parameter))
    constants = []
    found = rag.recommend(HISTORY, k=50, why=True)
    assert {one.source for item in found if item.why for one in item.why.evidence} == {*sources}
    for item in found:
        assert item.why is not None
        assert set(item.why.parts) == set(item.why.trust) == {"model", *sources}
        assert sum(item.why.parts.values()) == pytest.approx(1)
        assert sum(item.why.trust.values()) == pytest.approx(1)
        shares = {one.source: one.share for one in item.why.evidence}
        all_shares = np.array([shares.get(source, 0) for source in sources])
        for source, share in zip(sources, all_shares, strict=True):
            assert (item.why.parts[source] > 0) == (share > 0)
            if share > 0:
                mixture = item.why.trust[source] * share / item.why.parts[source]
                constants.append(item.probability / (mixture * np.prod((all_shares + FLOOR) ** power)))
    np.testing.assert_allclose(constants, constants[0], rtol=1e-3)
    assert [item.title for item in rag.recommend(HISTORY, k=50)] == [item.title for item in found]


def test_reasons_name_what_was_matched(artifacts: Path, rag: Recommender) -> None:
    store = EmbeddingStore.open(artifacts / "item_embeddings")
    vectors = store.whitened()
    vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    ids = [rag.item(text).item_id for text in HISTORY]
    for item in rag.recommend(HISTORY, k=50, why=True):
        assert item.why is not None
        for evidence in item.why.evidence:
            for match in evidence.matches:
                if evidence.source != "next_items":
                    assert match.id == ids[-1 - match.age]
                if evidence.source == "items":
                    cosine = vectors[store.row(match.id)] @ vectors[store.row(item.item_id)]
                    assert match.similarity == pytest.approx(cosine, abs=1e-5)
                elif evidence.source == "next_items":
                    taken = [one.item_id for one in rag.user(match.id).history]
                    end = len(taken) - 2  # of the training items, which alone are remembered
                    assert item.item_id in (taken[1 + match.age : end] if match.age >= 0 else taken[: end + match.age])


def test_reasons_come_by_weight_the_greatest_first(rag: Recommender, monkeypatch: pytest.MonkeyPatch) -> None:
    fusion = rag._scorer.fusion
    assert isinstance(fusion, Fusion)
    weights = [torch.zeros_like(weight) for weight in fusion.age_weights]  # so that similarity alone decides
    for own, weight in zip(fusion.age_weights, weights, strict=True):
        monkeypatch.setattr(own, "data", weight)
    matches = [
        [match.similarity for match in one.matches]
        for item in rag.recommend(HISTORY, k=50, why=True)
        if item.why
        for one in item.why.evidence
    ]
    assert max(map(len, matches)) > 3
    assert all(found == sorted(found, reverse=True) for found in matches)


def test_reasons_of_many_are_those_of_each(rag: Recommender) -> None:
    histories = [HISTORY, rag.user(42), rag.user(7)]
    for many, history in zip(rag.recommend_many(histories, k=5, why=True), histories, strict=True):
        for one, other in zip(many, rag.recommend(history, k=5, why=True), strict=True):
            assert one.why is not None
            assert other.why is not None
            assert one.why.parts == pytest.approx(other.why.parts, abs=1e-3)
            for found, again in zip(one.why.evidence, other.why.evidence, strict=True):
                assert dict.fromkeys(match.id for match in found.matches) == dict.fromkeys(
                    match.id for match in again.matches
                )
                assert [match.similarity for match in found.matches] == pytest.approx(
                    [match.similarity for match in again.matches], abs=1e-4
                )


def test_a_known_user_retrieves_nothing_of_his_own(rag: Recommender) -> None:
    def users(recommended: list) -> set[str]:
        evidence = [one for item in recommended for one in item.why.evidence if one.source == "next_items"]
        return {match.id for one in evidence for match in one.matches}

    user = rag.user(42)
    training = [item.item_id for item in user.history[:-2]]
    assert "42" not in users(rag.recommend(user, k=300, why=True))
    assert users(rag.recommend(training, k=300, why=True))


@pytest.mark.parametrize(
    ("source", "count", "words"),
    [
        ("next_items", 1, "taken by A (0.91)"),
        ("next_items", 2, "taken by A (0.91), B (0.80)"),
        ("items", 4, "like A (0.91), B (0.80) and 2 more"),
        ("co_occurring", 2, "often taken with A"),
        ("history", 1, "taken before"),
        ("history", 3, "taken before 3 times"),
        ("trending", 1, f"popular lately, taken {round(expm1(9.14))} times"),
        ("trending", 0, "popular lately, taken 1 time"),
    ],
)
def test_a_reason_in_words(source: str, count: int, words: str) -> None:
    named = zip("ABCD", (0.914, 0.8, 0.7, 0.6), strict=True)
    matches = [Match(name, name, similarity, 0) for name, similarity in named]
    matches = matches[:count] or [Match("A", "A", log(2) / 10, 0)]
    assert _because(source, matches) == words


def test_a_reason_names_a_user_once() -> None:
    matches = [
        Match(name, name, similarity, 0) for name, similarity in zip("AABAC", (0.9, 0.8, 0.7, 0.6, 0.5), strict=True)
    ]
    assert _because("next_items", matches) == "taken by A (0.90), B (0.70) and 1 more"
