"""Both variants are fitted again on the right items, and read no others."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from hierrec import Recommender
from hierrec.core.errors import ParamsError
from hierrec.core.files import cache_dir, read_details, read_json
from hierrec.core.sequences import NO_TARGET, Sequences
from hierrec.evaluation.comparison import compare
from hierrec.evaluation.ranks import load_ranks
from hierrec.model.checkpoint import load_model, new_model, save_model
from hierrec.model.ensemble import UserModel
from hierrec.model.inputs import Inputs
from hierrec.model.params import TrainParams
from hierrec.params import load_params
from hierrec.rag.checkpoint import save_rag
from hierrec.rag.fusion import Fusion, initial_values
from hierrec.rag.params import FusionParams
from hierrec.ranking.metrics import metrics_from_ranks
from hierrec.refit.params import FinalParams
from hierrec.refit.refit import OFF, refit
from hierrec.training.resume import TrainingState
from hierrec.training.start import untrained_model
from hierrec.training.trainer import fit, shrink
from numpy.typing import NDArray

from tests.model.world import ITEMS
from tests.rag.test_no_leak import rotated_test_items
from tests.reliability.sample_stages import contents, run_stages

STAGES = ("train_refit", "train_final", "evaluate_refit")
TWICE = FinalParams(fit=True, epochs=2, rate=0.3)
FUSION = FusionParams(
    sources=("next_items",),
    shortlist=8,
    overlap=0.3,
    neighbours=5,
    following=2,
    preceding=2,
    item_neighbours=1,
    recent_items=1,
    users=10,
    steps=1,
    batch_users=8,
    learning_rate=1e-2,
)


@pytest.fixture(scope="module")
def refitted(sample_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample's artifacts, with the models that were fitted again."""
    stages = (*STAGES, "evaluate_rag")
    return run_stages(sample_run, tmp_path_factory.mktemp("refitted") / "run", stages, {"final.epochs": 1})


def remembered(folder: Path) -> int:
    return len(pl.read_parquet(folder / "datastore" / "entries.parquet"))


def test_the_memory_holds_every_prefix_of_the_items_that_the_model_was_fitted_to(refitted: Path) -> None:
    split = pl.read_parquet(refitted / "data" / "split.parquet")
    held_out = split["validation"].count()
    models = refitted / "models"
    assert remembered(models / "refit") == remembered(models / "rag") + held_out
    assert remembered(models / "final") == remembered(models / "rag") + 2 * held_out


def test_the_fusion_is_what_it_was_and_the_sequence_model_is_not(refitted: Path) -> None:
    files = contents(refitted / "models")
    for name in ("refit", "final"):
        assert files[f"{name}/fusion.safetensors"] == files["rag/fusion.safetensors"]
    assert len({files[f"{name}/base/model.safetensors"] for name in ("rag", "refit", "final")}) == 3
    assert len({files[f"{name}/base/config.json"] for name in ("rag", "refit", "final")}) == 1


def test_the_configs_say_what_a_model_knows_and_where_its_test_figures_are(refitted: Path) -> None:
    fitted = {name: read_json(refitted / "models" / name / "config.json")["fitted"] for name in ("refit", "final")}
    assert fitted["refit"]["items"] == "training and validation"
    assert fitted["refit"]["test_figures"] == "artifacts/metrics/refit.json"
    assert fitted["final"]["items"] == "all"
    assert fitted["final"]["test_figures"] is None
    assert {described["epochs"] for described in fitted.values()} == {1}


def test_the_metrics_have_the_keys_of_the_others_without_validation(refitted: Path) -> None:
    metrics = read_details(refitted / "metrics" / "refit.json")
    split = pl.read_parquet(refitted / "data" / "split.parquet")
    assert set(metrics) == {"hierarchical", "rag"}
    for values in metrics.values():
        assert set(values) == {"test", "intervals", "users", "candidates", "slices"}
        assert set(values["test"]) == {"ndcg@10", "ndcg@20", "recall@10", "recall@20"}
        assert values["users"] == split["test"].count()


def test_the_ranks_give_the_metrics_and_compare_with_those_of_the_measured_model(refitted: Path) -> None:
    metrics = read_details(refitted / "metrics" / "refit.json")
    params = load_params(refitted.parent / "params.yaml").evaluate
    again = {name: load_ranks(refitted / "ranks" / "refit" / f"{name}.parquet") for name in ("hierarchical", "rag")}
    for variant, ranks in again.items():
        assert metrics_from_ranks(ranks["test"].drop_nulls()) == metrics[variant]["test"]
    result = compare({"measured": load_ranks(refitted / "ranks" / "rag.parquet"), "again": again["rag"]}, params)
    assert result["test"]["ndcg@10"]["again"] == metrics["rag"]["test"]["ndcg@10"]
    assert set(result["slices"]["history"]) == {"short", "middle", "long"}
    assert result["slices"]["perturbed"] == {}


def test_other_test_items_change_no_byte_of_the_model_that_is_measured_on_them(refitted: Path, tmp_path: Path) -> None:
    copy = run_stages(refitted.parent, tmp_path / "copy", ())
    rotated_test_items(copy)
    again = run_stages(copy.parent, tmp_path / "again", STAGES[:2])
    before, after = (contents(folder / "models") for folder in (refitted, again))
    differing = {name.split("/")[0] for name in before if before[name] != after[name]}
    assert set(after) == set(before)
    assert differing == {"final"}  # reads the test items, so the change is seen


def test_what_recommends_by_default_is_the_final_model(refitted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(refitted.parent)
    history = ["Toy Story (1995)", "heat"]
    default, final = Recommender.load(), Recommender.load("artifacts/models/final")
    assert default.recommend(history) == final.recommend(history)
    assert default.recommend(history) != Recommender.load("artifacts/models/rag").recommend(history)
    sequence_model = Recommender.load(variant="hierarchical")
    assert (default.variant, sequence_model.variant) == ("rag", "hierarchical")
    assert not np.array_equal(
        sequence_model.score(history), Recommender.load("artifacts/models/hierarchical").score(history)
    )
    with pytest.raises(ParamsError, match="hierarchical variant only"):
        Recommender.load("artifacts/models/hierarchical", variant="rag")


def test_switched_off_they_leave_a_note_no_metrics_and_the_measured_model_recommends(
    refitted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    off = run_stages(refitted.parent, tmp_path / "off", STAGES, {"final.fit": False})
    for name in ("refit", "final"):
        assert [path.name for path in (off / "models" / name).iterdir()] == [OFF]
    assert read_details(off / "metrics" / "refit.json") == {}
    assert list((off / "ranks" / "refit").iterdir()) == []
    monkeypatch.chdir(off.parent)
    assert Recommender.load().recommend(["heat"]) == Recommender.load("artifacts/models/rag").recommend(["heat"])


def make_chosen(
    folder: Path,
    params: TrainParams,
    frozen: NDArray[np.float32],
    sequences: Sequences,
    model: UserModel | None = None,
) -> Inputs:
    """Write a model as if validation had chosen it, a new one by default; return its inputs."""
    everything = np.ones(ITEMS, np.bool_)
    inputs = Inputs(pl.DataFrame({"row": range(ITEMS)}), sequences, everything, everything, frozen, "hash")
    fusion = Fusion(initial_values(FUSION), sequences.training_counts(ITEMS))
    save_rag(folder, model or new_model(params, frozen), fusion, FUSION, None, "hash")
    return inputs


def test_on_large_data_the_further_training_reads_every_item(
    train_params: TrainParams,
    frozen: NDArray[np.float32],
    sequences: Sequences,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HIERREC_CACHE", str(tmp_path / "cache"))
    for most in (1, None):
        folder = tmp_path / str(most)
        params = train_params.model_copy(update={"batch_windows": 8, "epoch_batches": most})
        inputs = make_chosen(folder / "rag", params, frozen, sequences).whole()
        refit(TWICE, lambda inputs=inputs: inputs, folder / "rag", folder, folder / "final", {"items": "all"})
    limited, whole = (contents(tmp_path / str(most) / "final" / "base") for most in (1, None))
    assert limited["model.safetensors"] == whole["model.safetensors"]
    assert limited["config.json"] != whole["config.json"]  # it keeps the limit of the chosen model


@pytest.mark.parametrize("members", [1, 2])
def test_every_member_is_fitted_again_and_an_interrupted_fit_resumes(
    train_params: TrainParams,
    frozen: NDArray[np.float32],
    sequences: Sequences,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    members: int,
) -> None:
    monkeypatch.setenv("HIERREC_CACHE", str(tmp_path / "cache"))
    params = train_params.model_copy(update={"members": members})
    inputs = make_chosen(tmp_path / "rag", params, frozen, sequences).whole()

    def run(name: str) -> None:
        refit(TWICE, lambda: inputs, tmp_path / "rag", tmp_path, tmp_path / name, {"items": "all"})

    run("whole")
    before, after = (load_model(tmp_path / name / "base", frozen, "hash") for name in ("rag", "whole"))
    for old, new in zip(before.members, after.members, strict=True):
        assert not torch.equal(old.head.weight, new.head.weight)
    assert after.params == before.params

    save = TrainingState.save

    def killed(state: TrainingState, *arguments: object) -> None:
        save(state, *arguments)  # type: ignore[arg-type]
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(TrainingState, "save", killed)
        with pytest.raises(KeyboardInterrupt):
            run("resumed")
    (state,) = cache_dir("train").glob("*.state")
    run("resumed")
    assert not state.exists()
    assert contents(tmp_path / "resumed") == contents(tmp_path / "whole")


@pytest.mark.parametrize(("shrunk", "unit"), [(True, False), (True, True), (False, True)])
def test_new_weights_are_trained_for_the_chosen_epochs_and_shrunk_if_the_chosen_ones_are(
    train_params: TrainParams,
    frozen: NDArray[np.float32],
    sequences: Sequences,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    shrunk: bool,
    unit: bool,
) -> None:
    monkeypatch.setenv("HIERREC_CACHE", str(tmp_path / "cache"))
    params = train_params.model_copy(update={"shrinkage": 5, "residual_start": "co_occurrence"})
    if unit:  # then a shrunk model's keys may all have the scale 1, as those of another model
        params = params.model_copy(update={"keys": "unit"})
    chosen = new_model(params, frozen)
    if shrunk:
        shrink(chosen, torch.from_numpy(sequences.training_counts(ITEMS)), 5)
        if unit:
            chosen.members[0].key_scale.fill_(1)
    inputs = make_chosen(tmp_path / "rag", params, frozen, sequences, chosen).before_test()
    values = (0.1, 0.3, 0.3, 0.2)  # the second epoch is the first best
    curve = [{"epoch": n, "ndcg@10": value} for n, value in enumerate(values, 1)]
    save_model(tmp_path / "hierarchical", chosen, "hash", curve, shrunk)
    final = TWICE.model_copy(update={"start": "auto"})
    refit(final, lambda: inputs, tmp_path / "rag", tmp_path / "hierarchical", tmp_path / "new", {"items": "some"})
    found = load_model(tmp_path / "new" / "base", frozen, "hash")
    expected = untrained_model(params.model_copy(update={"epochs": 2}), frozen, inputs.sequences)
    fit(expected, inputs.sequences, None, TrainingState(tmp_path, "key"))
    if shrunk:
        shrink(expected, torch.from_numpy(inputs.sequences.training_counts(ITEMS)), 5)
    for (name, tensor), other in zip(found.state_dict().items(), expected.state_dict().values(), strict=True):
        assert torch.equal(tensor, other), name
    fitted = read_json(tmp_path / "new" / "config.json")["fitted"]
    assert fitted == {
        "epochs": 2,
        "learning_rate": params.learning_rate,
        "start": "new",
        "items": "some",
    }


@pytest.mark.parametrize(
    ("start", "residuals", "new"),
    [
        ("auto", "co_occurrence", True),
        ("auto", "zero", False),
        ("new", "zero", True),
        ("chosen", "co_occurrence", False),
    ],
)
def test_what_is_trained_follows_from_the_start_or_else_from_the_data(
    train_params: TrainParams, start: str, residuals: str, new: bool
) -> None:
    chosen = train_params.model_copy(update={"residual_start": residuals})
    assert TWICE.model_copy(update={"start": start}).new_for(chosen) is new


def test_an_item_of_the_test_part_alone_may_be_recommended_by_the_final_model_only(
    train_params: TrainParams, frozen: NDArray[np.float32], sequences: Sequences, tmp_path: Path
) -> None:
    inputs = make_chosen(tmp_path, train_params, frozen, sequences)
    user = int(np.flatnonzero(sequences.test != NO_TARGET)[0])
    late = np.ones(ITEMS, np.bool_)
    late[[sequences.test[user], (sequences.test[user] + 1) % ITEMS]] = False
    items = sequences.items.copy()
    items[items == (sequences.test[user] + 1) % ITEMS] = 0  # no user has it
    inputs = replace(inputs, candidates=late, sequences=replace(sequences, items=items))
    whole = inputs.whole()
    assert whole.candidates[sequences.test[user]]
    assert not whole.candidates[(sequences.test[user] + 1) % ITEMS]
    assert (whole.sequences.test == NO_TARGET).all()
