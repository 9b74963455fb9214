"""The Python API: recommendations, scores, reasons and neighbours, by id and title."""

import copy
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import chdir
from dataclasses import replace
from pathlib import Path

import hierrec
import numpy as np
import pytest
import torch
from hierrec import Recommender
from hierrec.core.errors import CheckpointError, DataError, IndexMismatchError, ParamsError
from hierrec.core.sequences import Sequences
from hierrec.core.tables import interaction_groups, load_split
from hierrec.model.checkpoint import load_model
from hierrec.model.inputs import load_inputs
from hierrec.model.scorer import Scored, Scorer
from hierrec.rag.checkpoint import load_rag
from hierrec.rag.fusion import Fusion
from hierrec.search.index import ItemIndex
from hierrec.serving.find_items import NotFoundError
from hierrec.store.store import EmbeddingStore
from numpy.typing import NDArray

VARIANTS = ("hierarchical", "rag")
HISTORY = ["Toy Story (1995)", "heat"]


@pytest.fixture(scope="module")
def recommenders(artifacts: Path) -> dict[str, Recommender]:
    return {variant: Recommender.load(artifacts / "models" / variant) for variant in VARIANTS}


@pytest.fixture(params=VARIANTS)
def recommender(request: pytest.FixtureRequest, recommenders: dict[str, Recommender]) -> Recommender:
    return recommenders[request.param]


def with_opinions(fusion: Fusion) -> dict[str, torch.Tensor]:
    """Return a state in which the gate reads all its inputs; the sample's training may leave it at zero."""
    generator = torch.Generator().manual_seed(0)
    shape, dtype = fusion.gate.weight.shape, fusion.gate.weight.dtype
    return fusion.state_dict() | {"gate.weight": torch.randn(shape, generator=generator).to(dtype)}


def evaluated_scores(artifacts: Path, variant: str, histories: list[NDArray[np.int64]]) -> torch.Tensor:
    """Return the evaluation's scores, in float64."""
    inputs = load_inputs(artifacts / "data", artifacts / "item_embeddings")
    folder, nobody = artifacts / "models" / variant, np.full(len(histories), -1)
    with torch.inference_mode():
        if variant == "hierarchical":
            model = load_model(folder, inputs.frozen, inputs.store_hash)
            return Scorer(model, inputs.candidates).score_histories(histories, nobody)
        index = ItemIndex.open(artifacts / "index", inputs.store_hash)
        loaded = load_rag(folder, inputs, index)
        assert isinstance(loaded.fusion, Fusion)
        loaded.fusion.load_state_dict(with_opinions(loaded.fusion))
        return loaded.score_histories(histories, nobody)


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = "import sys, hierrec; print(*{'torch', 'polars', 'transformers', 'faiss'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
    assert "Recommender" in dir(hierrec)
    with pytest.raises(AttributeError, match="Recomender"):
        getattr(hierrec, "Recomender")  # noqa: B009


@pytest.mark.parametrize("variant", VARIANTS)
def test_scores_are_those_of_the_evaluation(artifacts: Path, variant: str) -> None:
    recommender = Recommender.load(artifacts / "models" / variant)
    if isinstance(fusion := recommender._scorer.fusion, Fusion):
        fusion.load_state_dict(with_opinions(fusion))
    generator = np.random.default_rng(0)
    histories = [generator.choice(278, length, replace=False) for length in (1, 2, 30, 120)]
    ids = [[recommender.item_ids[row] for row in history] for history in histories]
    expected = evaluated_scores(artifacts, variant, histories).float()
    scores = torch.from_numpy(recommender.score_many(ids))
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
    place = recommender.user_ids.index("42")
    rows = sequences.items[sequences.offsets[place] : sequences.offsets[place + 1]]
    assert [item.item_id for item in user.history] == [recommender.item_ids[row] for row in rows]


def test_a_user_is_found_again_where_rows_have_moved(recommenders: dict[str, Recommender]) -> None:
    recommender = recommenders["rag"]
    moved = copy.copy(recommender)
    rows = np.roll(np.arange(len(recommender.user_ids)), 1).tolist()
    moved._user_rows = dict(zip(recommender.user_ids, rows, strict=True))
    other = recommender.user_ids[1]
    assert moved.user(recommender.user_ids[2]).history == recommender.user(other).history
    assert moved.recommend(recommender.user(recommender.user_ids[2])) == recommender.recommend(recommender.user(other))
    del moved._user_rows[other]
    with pytest.raises(NotFoundError, match="no user"):
        moved.recommend(recommender.user(other))


def test_items_of_an_answer_are_items_of_a_question(recommender: Recommender) -> None:
    first = recommender.recommend(HISTORY, k=3)
    more = recommender.recommend(HISTORY, k=3, exclude=first)
    assert [*first, *more] == recommender.recommend(HISTORY, k=6)
    user = recommender.user(42)
    assert recommender.score(user.history).shape == recommender.score(user).shape
    assert len(recommender.recommend(HISTORY, k=10**9)) < len(recommender.item_ids)


def test_other_forms_of_a_question_get_the_same_answer(recommender: Recommender, artifacts: Path) -> None:
    heat = recommender.item("heat")
    assert recommender.item(heat) == heat
    assert recommender.similar(heat, *np.array([3])) == recommender.similar("heat", 3)
    assert recommender.recommend_many(iter([HISTORY]), exclude=None) == recommender.recommend_many([HISTORY])
    excluded = np.array(recommender.item_ids[:9])
    assert recommender.recommend(HISTORY, exclude=excluded) == recommender.recommend(HISTORY, exclude=[*excluded])  # type: ignore[arg-type]
    assert Recommender.load(artifacts).recommend(HISTORY) == Recommender.load(artifacts / "models/rag").recommend(
        HISTORY
    )


def test_ties_go_by_row(artifacts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recommender = Recommender.load(artifacts / "models" / "hierarchical")
    whole = recommender._scorer.score

    def two_values(histories: list[NDArray[np.int64]], users: NDArray[np.int64]) -> Scored:
        scored = whole(histories, users)
        allowed = scored.scores > -torch.inf
        values = (torch.arange(scored.scores.shape[1]) % 2).expand_as(scored.scores).float()
        return replace(scored, scores=values.masked_fill(~allowed, -torch.inf))

    monkeypatch.setattr(recommender._scorer, "score", two_values)
    rows = [recommender.item_ids.index(item.item_id) for item in recommender.recommend(HISTORY, k=200)]
    odd = [row for row in rows if row % 2]
    assert rows == sorted(odd) + sorted(set(rows) - set(odd))
    assert len(rows) == 200 > len(odd) > 100


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
    assert len(recommender.similar("heat", k=1000)) == (cosines > 0).sum() < 277


def test_similar_items_are_the_neighbours_of_the_store(recommender: Recommender, artifacts: Path) -> None:
    item = recommender.item("Heat (1995)")
    neighbours = EmbeddingStore.open(artifacts / "item_embeddings").neighbours(item.item_id, 10)
    found = recommender.similar(item.item_id, k=10)
    assert neighbours["item_id"].to_list() == [one.item_id for one in found]
    assert neighbours["cosine"].to_list() == pytest.approx([one.similarity for one in found], abs=1e-5)


def test_wrong_questions_are_answered_with_typed_errors(recommenders: dict[str, Recommender]) -> None:
    recommender = recommenders["hierarchical"]
    with pytest.raises(NotFoundError, match="Toy Story"):
        recommender.recommend(["Toy Stroy"])
    with pytest.raises(NotFoundError, match=r"history 2 of 3: .*Toy Stroy"):
        recommender.recommend_many([HISTORY, ["Toy Stroy"], HISTORY])
    with pytest.raises(NotFoundError, match=r"no user '6000'\n.*like it:\n    600"):
        recommender.user(6000)
    with pytest.raises(NotFoundError, match=r"no user 'nobody'\n.*use the id of a user"):
        recommender.user("nobody")
    with pytest.raises(ParamsError, match="no variant 'hierarchial'"):
        Recommender.load(variant="hierarchial")
    with pytest.raises(ParamsError, match="k is 0"):
        recommender.recommend(HISTORY, k=0)
    with pytest.raises(ParamsError, match="k is -5"):
        recommender.similar("heat", k=-5)
    with pytest.raises(DataError, match="one text"):
        recommender.recommend("Heat")
    for history in (b"heat", {"heat"}, {"heat": 1}, 42):
        with pytest.raises(DataError, match="not a list"):
            recommender.recommend(history)  # type: ignore[arg-type]
    for k in (2.0, "2", None, True):
        with pytest.raises(ParamsError, match="by a whole number"):
            recommender.recommend(HISTORY, k=k)  # type: ignore[arg-type]
    with pytest.raises(ParamsError, match="k is -1"):
        recommender.search_items("toy", -1)
    with pytest.raises(ParamsError, match=r"exlude: there is no such rule\n.*use one of exclude, candidates"):
        recommender.recommend(HISTORY, exlude=["heat"])  # type: ignore[call-arg]
    with pytest.raises(ParamsError, match="exclude_seen: is 'false'"):
        recommender.recommend(HISTORY, exclude_seen="false")  # type: ignore[arg-type]
    with pytest.raises(NotFoundError, match=r"'qqqq0'; .*'qqqq4'; and 95 more\n.*use the id or the title"):
        recommender.recommend([f"qqqq{number}" for number in range(100)])
    with pytest.raises(ParamsError, match="rag"):
        recommender.recommend(HISTORY, why=True)


def test_missing_artifacts_are_named_together(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="dvc repro`, which builds all") as caught:
        Recommender.load(tmp_path / "models" / "rag")
    for part in ("models/rag", "data", "item_embeddings"):
        assert str(tmp_path / part) in str(caught.value)


def test_a_folder_far_from_models_is_named_alone(tmp_path: Path) -> None:
    (tmp_path / "onnx").mkdir()
    (tmp_path / "onnx" / "config.json").write_text("{}")  # an export, no model
    with pytest.raises(DataError, match="nope: there is no such folder\n  what to do: run `dvc repro`"):
        Recommender.load(tmp_path / "nope")
    with pytest.raises(DataError, match="holds no model\n  what to do: run `dvc repro`"):
        Recommender.load(tmp_path)


def test_artifacts_may_lie_elsewhere(artifacts: Path, recommenders: dict[str, Recommender], tmp_path: Path) -> None:
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


def test_the_hierarchical_variant_needs_an_index_for_similar_items_only(artifacts: Path, tmp_path: Path) -> None:
    shutil.copytree(artifacts, tmp_path / "artifacts", ignore=shutil.ignore_patterns("index", "rag"))
    recommender = Recommender.load(tmp_path / "artifacts" / "models" / "hierarchical")
    assert len(recommender.recommend(HISTORY)) == 10
    with pytest.raises(IndexMismatchError, match="missing"):
        recommender.similar("heat")


def test_a_damaged_model_is_refused(artifacts: Path, tmp_path: Path) -> None:
    shutil.copytree(artifacts, tmp_path / "artifacts", ignore=shutil.ignore_patterns("rag"))
    weights = tmp_path / "artifacts" / "models" / "hierarchical" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(CheckpointError, match="another hash"):
        Recommender.load(weights.parent)


@pytest.mark.parametrize(
    ("place", "problem"),
    [("models", "no model"), ("models/rga", "no such folder")],
)
def test_a_folder_without_a_model_names_those_that_are_there(artifacts: Path, place: str, problem: str) -> None:
    with pytest.raises(DataError) as caught:
        Recommender.load(artifacts / place)
    assert caught.value.where == str(artifacts / place)
    assert problem in caught.value.what
    for variant in VARIANTS:
        assert str(artifacts / "models" / variant) in str(caught.value.remedy)


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_model_without_its_config_is_damaged_and_no_other_is_named(
    artifacts: Path, tmp_path: Path, variant: str
) -> None:
    shutil.copytree(artifacts, tmp_path / "artifacts")
    config = tmp_path / "artifacts" / "models" / variant / "config.json"
    config.unlink()
    with pytest.raises(CheckpointError) as caught:
        Recommender.load(config.parent)
    assert str(config.parent) in str(caught.value)
    assert "name a model" not in str(caught.value)


def test_threads_get_the_answers_of_one(recommenders: dict[str, Recommender]) -> None:
    histories = [[str(item)] for item in recommenders["rag"].item_ids[:24]]
    expected = [recommenders["rag"].recommend(history) for history in histories]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(recommenders["rag"].recommend, histories)) == expected


def test_the_sequence_model_of_a_rag_model_is_the_hierarchical_variant(artifacts: Path) -> None:
    rag, alone = (Recommender.load(artifacts / "models" / name) for name in ("rag", "hierarchical"))
    fused, model = rag.score(["heat"]), rag.sequence_model()
    assert model.variant == "hierarchical"
    assert model.recommend(model.user("1")) == alone.recommend(alone.user("1"))
    assert np.array_equal(model.score(["heat"]), alone.score(["heat"]))
    assert np.array_equal(rag.score(["heat"]), fused)
