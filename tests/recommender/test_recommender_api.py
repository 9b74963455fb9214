"""The Python API: recommendations, scores, reasons and neighbours, by id and title."""

import shutil
import subprocess
import sys
from contextlib import chdir
from pathlib import Path

import hierrec
import numpy as np
import pytest
import torch
from hierrec import Recommender
from hierrec.data.sequences import Sequences
from hierrec.data.tables import interaction_groups, load_split
from hierrec.errors import CheckpointError, DataError, IndexMismatchError, ParamsError
from hierrec.item_llm.store import EmbeddingStore
from hierrec.recommender.checkpoint import load_recommender
from hierrec.recommender.find_items import NotFoundError
from hierrec.recommender.fusion import FLOOR
from hierrec.recommender.hierarchical import HierarchicalRecommender
from hierrec.recommender.inputs import load_inputs
from hierrec.recommender.rag import recommendable
from hierrec.recommender.rag_checkpoint import load_rag
from hierrec.retrieval.index import ItemIndex
from numpy.typing import NDArray

from tests.recommender.sample_run import sample_run

VARIANTS = ("hierarchical", "rag")
HISTORY = ["Toy Story (1995)", "heat"]


@pytest.fixture(scope="session")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sample_run(tmp_path_factory.getbasetemp()) / "artifacts"


@pytest.fixture(scope="module")
def recommenders(artifacts: Path) -> dict[str, Recommender]:
    return {variant: Recommender.load(artifacts / "models" / variant) for variant in VARIANTS}


@pytest.fixture(params=VARIANTS)
def recommender(request: pytest.FixtureRequest, recommenders: dict[str, Recommender]) -> Recommender:
    return recommenders[request.param]


@pytest.fixture
def rag(recommenders: dict[str, Recommender]) -> Recommender:
    return recommenders["rag"]


def evaluated_scores(artifacts: Path, variant: str, histories: list[NDArray[np.int64]]) -> torch.Tensor:
    """Return what evaluation ranks by, in float64."""
    inputs = load_inputs(artifacts / "data", artifacts / "item_embeddings")
    folder, nobody = artifacts / "models" / variant, np.full(len(histories), -1)
    with torch.inference_mode():
        if variant == "hierarchical":
            model, train = load_recommender(folder, inputs.frozen, inputs.store_hash)
            scores = HierarchicalRecommender(model, train.history).score_histories(histories, nobody)
            return recommendable(scores, histories, inputs.candidates)
        index = ItemIndex.open(artifacts / "index", inputs.store_hash)
        loaded = load_rag(folder, inputs, index)
        return loaded.score_histories(histories, nobody)


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = "import sys, hierrec; print(*{'torch', 'polars', 'transformers', 'faiss'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
    assert "Recommender" in dir(hierrec)
    with pytest.raises(AttributeError, match="Recomender"):
        getattr(hierrec, "Recomender")  # noqa: B009


@pytest.mark.parametrize("variant", VARIANTS)
def test_scores_are_those_of_the_evaluation(
    artifacts: Path, recommenders: dict[str, Recommender], variant: str
) -> None:
    generator = np.random.default_rng(0)
    histories = [generator.choice(278, length, replace=False) for length in (1, 2, 30, 120)]
    ids = [[recommenders[variant].item_ids[row] for row in history] for history in histories]
    expected = evaluated_scores(artifacts, variant, histories).float()
    scores = torch.from_numpy(recommenders[variant].score_many(ids))
    assert scores.dtype == torch.float32
    torch.testing.assert_close(scores, expected, atol=1e-3, rtol=1e-3)


def test_recommendations_are_the_best_scores_outside_the_history(recommender: Recommender) -> None:
    scores = recommender.score(HISTORY)
    found = recommender.recommend(HISTORY, k=20)
    assert [item.item_id for item in found] == [
        recommender.item_ids[row] for row in np.argsort(-scores, kind="stable")[:20]
    ]
    assert [item.score for item in found] == sorted(scores.tolist(), reverse=True)[:20]
    assert not {item.title for item in found} & {"Toy Story (1995)", "Heat (1995)"}
    assert found[0] == recommender.recommend(HISTORY, k=1)[0]
    assert all(recommender.item(item.title).item_id == item.item_id for item in found)


def test_probabilities_of_all_that_may_be_recommended_sum_to_one(recommender: Recommender) -> None:
    found = recommender.recommend(HISTORY, k=10_000)
    assert len(found) == 277 - 2
    assert sum(item.probability for item in found) == pytest.approx(1, abs=1e-4)


def test_ids_and_titles_name_the_same(recommender: Recommender) -> None:
    ids = [recommender.item(text).item_id for text in HISTORY]
    assert recommender.recommend(ids) == recommender.recommend(HISTORY)
    assert recommender.recommend([int(item_id) for item_id in ids]) == recommender.recommend(HISTORY)


def test_many_are_answered_as_one_by_one(recommender: Recommender) -> None:
    histories = [recommender.user(user) for user in range(1, 301)]
    many = recommender.recommend_many(histories, k=5)
    assert len(many) == 300
    for place in (0, 17, 255, 256, 299):
        one = recommender.recommend(histories[place], k=5)
        assert [item.score for item in many[place]] == pytest.approx([item.score for item in one], abs=1e-4)
    assert recommender.recommend_many([]) == []
    assert recommender.score_many([]).shape == (0, 278)


def test_an_empty_history_is_answered(recommender: Recommender) -> None:
    assert len(recommender.recommend([], k=5)) == 5
    assert np.isfinite(recommender.score([])).sum() == 277


def test_a_user_has_the_history_of_the_data(artifacts: Path, recommender: Recommender) -> None:
    data = artifacts / "data"
    sequences = Sequences.from_tables(
        interaction_groups(data / "interactions.parquet"), load_split(data / "split.parquet")
    )
    user = recommender.user(42)
    assert user == recommender.user("42")
    rows = sequences.items[sequences.offsets[user.row] : sequences.offsets[user.row + 1]]
    assert [item.item_id for item in user.history] == [recommender.item_ids[row] for row in rows]


def test_reasons_account_for_the_probability(rag: Recommender, monkeypatch: pytest.MonkeyPatch) -> None:
    """The probability is the mixture of the parts, sharpened by what the sources found, up to a constant."""
    power = np.array([0.3, 0.1], np.float32)
    fusion = rag._scorer.fusion
    assert fusion is not None
    # Whatever the sample's training found best: nothing to sharpen by would hide an error.
    monkeypatch.setattr(fusion.power, "data", torch.from_numpy(power))
    constants = []
    found = rag.recommend(HISTORY, k=50, why=True)
    assert {one.source for item in found if item.why for one in item.why.evidence} == {"next_items", "items"}
    for item in found:
        assert item.why is not None
        assert set(item.why.parts) == set(item.why.trust) == {"model", "next_items", "items"}
        assert sum(item.why.parts.values()) == pytest.approx(1)
        assert sum(item.why.trust.values()) == pytest.approx(1)
        shares = {one.source: one.share for one in item.why.evidence}
        both = np.array([shares.get(source, 0) for source in ("next_items", "items")])
        for source, share in zip(("next_items", "items"), both, strict=True):
            assert (item.why.parts[source] > 0) == (share > 0)
            if share > 0:
                mixture = item.why.trust[source] * share / item.why.parts[source]
                constants.append(item.probability / (mixture * np.prod((both + FLOOR) ** power)))
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
                if evidence.source == "items":
                    assert match.id == ids[-1 - match.age]
                    cosine = vectors[store.row(match.id)] @ vectors[store.row(item.item_id)]
                    assert match.similarity == pytest.approx(cosine, abs=1e-5)
                else:
                    taken = [one.item_id for one in rag.user(match.id).history]
                    end = len(taken) - 2  # of the training items, which alone are remembered
                    assert item.item_id in (
                        taken[1 + match.age : end] if match.age >= 0 else taken[: end + match.age]
                    )


def test_a_known_user_retrieves_nothing_of_his_own(rag: Recommender) -> None:
    def users(recommended: list) -> set[str]:
        evidence = [one for item in recommended for one in item.why.evidence if one.source == "next_items"]
        return {match.id for one in evidence for match in one.matches}

    user = rag.user(42)
    training = [item.item_id for item in user.history[:-2]]
    assert "42" not in users(rag.recommend(user, k=300, why=True))
    assert users(rag.recommend(training, k=300, why=True))


def test_similar_items_are_the_nearest_vectors(artifacts: Path, recommender: Recommender) -> None:
    store = EmbeddingStore.open(artifacts / "item_embeddings")
    vectors = store.whitened().astype(np.float64)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    row = store.row(recommender.item("heat").item_id)
    cosines = vectors @ vectors[row]
    cosines[row] = -np.inf
    found = recommender.similar("Heat (1995)", k=5)
    assert [item.item_id for item in found] == [store.item_ids[other] for other in np.argsort(-cosines)[:5]]
    assert [item.similarity for item in found] == pytest.approx(np.sort(cosines)[::-1][:5], abs=1e-5)
    assert len(recommender.similar("heat", k=1000)) == 277


def test_wrong_questions_are_answered_with_typed_errors(recommenders: dict[str, Recommender]) -> None:
    recommender = recommenders["hierarchical"]
    with pytest.raises(NotFoundError, match="Toy Story"):
        recommender.recommend(["Toy Stroy"])
    with pytest.raises(NotFoundError, match="no user '9999'"):
        recommender.user(9999)
    with pytest.raises(ParamsError, match="k is 0"):
        recommender.recommend(HISTORY, k=0)
    with pytest.raises(ParamsError, match="k is -5"):
        recommender.similar("heat", k=-5)
    with pytest.raises(DataError, match="one text"):
        recommender.recommend("Heat")
    with pytest.raises(ParamsError, match="rag"):
        recommender.recommend(HISTORY, why=True)


def test_missing_artifacts_are_named_together(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="dvc repro`, which builds all") as caught:
        Recommender.load(tmp_path / "models" / "rag")
    for part in ("models/rag", "data", "item_embeddings"):
        assert str(tmp_path / part) in str(caught.value)


def test_artifacts_may_lie_elsewhere(
    artifacts: Path, recommenders: dict[str, Recommender], tmp_path: Path
) -> None:
    model, data = tmp_path / "model", tmp_path / "tables"
    shutil.copytree(artifacts / "models" / "rag", model)
    shutil.copytree(artifacts / "data", data)
    with pytest.raises(DataError, match="artifacts are missing"):
        Recommender.load(model, data=data)
    loaded = Recommender.load(
        model, data=data, item_embeddings=artifacts / "item_embeddings", index=artifacts / "index"
    )
    assert loaded.recommend(HISTORY) == recommenders["rag"].recommend(HISTORY)
    with chdir(artifacts / "models"):
        assert Recommender.load("rag").recommend(HISTORY) == recommenders["rag"].recommend(HISTORY)


def test_the_hierarchical_variant_needs_an_index_for_similar_items_only(
    artifacts: Path, tmp_path: Path
) -> None:
    shutil.copytree(artifacts, tmp_path / "artifacts", ignore=shutil.ignore_patterns("index", "rag"))
    recommender = Recommender.load(tmp_path / "artifacts" / "models" / "hierarchical")
    assert len(recommender.recommend(HISTORY)) == 10
    with pytest.raises(IndexMismatchError, match="missing"):
        recommender.similar("heat")


def test_a_damaged_model_is_refused(artifacts: Path, tmp_path: Path) -> None:
    shutil.copytree(artifacts, tmp_path / "artifacts", ignore=shutil.ignore_patterns("rag"))
    weights = tmp_path / "artifacts" / "models" / "hierarchical" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(CheckpointError, match="cannot be read"):
        Recommender.load(weights.parent)
