"""The whole pipeline through real DVC: the stages that run, and the output of its commands."""

import json
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from tests.reliability.sample_stages import contents
from tests.stages.project import Project, archive_params, write_small_archive

ALL = [
    "ingest",
    "tune",
    "encode",
    "index",
    "train_hierarchical",
    "train_rag",
    "train@refit",
    "train@final",
    "evaluate_baselines",
    "evaluate_hierarchical",
    "evaluate_rag",
    "evaluate_refit",
    "evaluate_report",
]
AGAIN = ("train@refit", "train@final", "evaluate_refit")
"""The stages that fit both variants again, and measure them."""
TRAINED = {stage for stage in ALL if stage.startswith(("train", "evaluate"))} - {"evaluate_baselines"}
"""The stages that read a trained model."""
VARIANTS = ("hierarchical", "rag")
METRICS = {"ndcg@10", "ndcg@20", "recall@10", "recall@20"}


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_small_archive(tmp_path_factory.mktemp("archive") / "small.zip")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, archive: Path) -> Project:
    """A project in which `dvc repro` has run once, committed."""
    project = Project.create(tmp_path_factory.mktemp("built") / "project", archive)
    assert sorted(project.repro()) == sorted(ALL)
    project.commit("first run")
    return project


@pytest.fixture
def project(built: Project) -> Iterator[Project]:
    """The built project; it is restored afterwards."""
    yield built
    built.run("git", "reset", "--hard", "--quiet", "HEAD")
    built.run("dvc", "checkout", "--quiet", "--force")


def test_both_variants_have_metrics_in_git(project: Project) -> None:
    for variant in VARIANTS:
        (metrics,) = project.read_json(f"artifacts/metrics/{variant}.json")
        for split in ("validation", "test"):
            assert set(metrics[split]) == METRICS
            assert all(0 < value < 1 for value in metrics[split].values())
            assert metrics[split]["recall@20"] >= metrics[split]["recall@10"] >= metrics[split]["ndcg@10"]
        assert metrics["users"] == 120
    (baselines,) = project.read_json("artifacts/metrics/baselines.json")
    assert set(baselines) == {"popularity", "markov", "neighbours"}
    assert all(set(values[split]) == METRICS for values in baselines.values() for split in ("validation", "test"))
    tracked = project.run("git", "ls-files", "artifacts").split()
    assert {"artifacts/metrics/hierarchical.json", "artifacts/plots/rag.csv"} <= set(tracked)
    assert not [path for path in tracked if path.endswith((".parquet", ".npy", ".safetensors"))]


def test_the_artifacts_are_complete(project: Project) -> None:
    artifacts = project.folder / "artifacts"
    for path in ("item_embeddings/embeddings.npy", "index/manifest.json", "models/rag/fusion.safetensors"):
        assert (artifacts / path).is_file()
    assert not list(artifacts.rglob("*.part"))
    curve = pl.read_csv(artifacts / "plots" / "hierarchical.csv")
    assert curve["epoch"].to_list() == [1, 2, 3]
    assert {"train_loss", "ndcg@10", "recall@10"} <= set(curve.columns)


def test_a_second_repro_runs_nothing(project: Project) -> None:
    assert project.repro() == []
    assert project.run("git", "status", "--porcelain") == ""


def test_a_training_param_reruns_training_and_evaluation_only(project: Project, tmp_path: Path) -> None:
    project.set(train__learning_rate=1e-3)
    assert set(project.repro()) == TRAINED
    difference = json.loads(project.run("dvc", "metrics", "diff", "--json"))
    for variant in VARIANTS:
        assert difference[f"artifacts/metrics/headlines/{variant}.json"][f"{variant}.ndcg@10"]["diff"] != 0
    assert len(project.run("dvc", "metrics", "diff").splitlines()) <= 2 + 5 + 5 + 8
    params = json.loads(project.run("dvc", "params", "diff", "--json"))
    assert params["params.yaml"]["train.learning_rate"]["new"] == 1e-3
    project.run("dvc", "plots", "diff", "HEAD", "--out", str(tmp_path / "plots"))
    page = (tmp_path / "plots" / "index.html").read_text("utf-8")
    assert "validation metrics by epoch" in page
    assert "rag_recall.csv" in page


def test_a_fusion_param_leaves_the_hierarchical_variant_alone(project: Project) -> None:
    project.set(fusion__neighbours=20)
    ran = set(project.repro())
    assert ran == {"train_rag", *AGAIN, "evaluate_rag", "evaluate_report"}


def edit(project: Project, path: str, old: str = "", new: str = "# a remark") -> None:
    """Replace text in a file of the pipeline, or add a line."""
    file = project.folder / "pipeline" / path
    text = file.read_text("utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1) if old else f"{text}\n{new}\n", "utf-8")


def test_a_comment_in_the_training_code_reruns_training_only(project: Project) -> None:
    edit(project, "training/trainer.py")
    # The same numbers come out, so nothing follows.
    assert set(project.repro()) == {"train_hierarchical", "train@refit", "train@final"}


@pytest.mark.parametrize(
    ("path", "stages"),
    [
        ("evaluation/summary.py", {stage for stage in ALL if stage.startswith("evaluate")}),
        ("report/page.py", {"evaluate_report"}),
        ("serving/recommend.py", {"evaluate_report"}),
        ("cli/metrics.py", set()),
        ("reuse/diagnosis.py", set()),
        ("tune/tuner.py", {"tune"}),
        ("encode/store_writer.py", {"tune", "encode"}),
        ("index/build.py", {"index"}),
        ("fusion/fusion_trainer.py", {"train_rag", "train@refit", "train@final"}),
        ("refit/refit.py", {"train@refit", "train@final"}),
    ],
)
def test_a_comment_reruns_the_stages_of_its_room_only(project: Project, path: str, stages: set[str]) -> None:
    edit(project, path)
    assert set(project.repro("--dry")) == stages


@pytest.mark.parametrize(
    ("path", "section", "stages"),
    [
        ("ingest", "ingest", {"ingest"}),
        ("tune", "tune", {"tune"}),
        ("encode", "encode", {"tune", "encode"}),
        ("index", "index", {"index"}),
        ("model", "train", TRAINED),
        ("rag", "fusion", {"train_rag", *AGAIN, "evaluate_rag", "evaluate_report"}),
        ("refit", "final", {"train@refit", "train@final"}),
        ("evaluation", "evaluate", {stage for stage in ALL if stage.startswith("evaluate")}),
    ],
)
def test_a_new_key_reruns_the_stages_that_read_its_section_and_no_others(
    project: Project, path: str, section: str, stages: set[str]
) -> None:
    edit(project, f"{path}/params.py", new="    further: int = 1")
    project.set(**{f"{section}__further": 2})
    assert set(project.repro("--dry")) == stages


def test_switched_off_the_final_fits_leave_no_model_and_switched_on_they_come_from_the_cache(
    project: Project,
) -> None:
    command = ("hierrec", "recommend", "--user", "7", "--json")
    assert json.loads(project.run(*command))["model"] == "final"
    before = contents(project.folder / "artifacts")
    project.set(final__fit=False)
    assert set(project.repro()) == set(AGAIN)
    assert project.read_json("artifacts/metrics/refit.json") == [{}]
    assert json.loads(project.run(*command))["model"] == "rag"
    project.run("dvc", "metrics", "diff")
    project.set(final__fit=True)
    assert project.repro() == []
    assert contents(project.folder / "artifacts") == before


def test_an_archive_with_other_ratings_and_times_reruns_ingest_only(project: Project, tmp_path: Path) -> None:
    other = write_small_archive(tmp_path / "other.zip", later=86_400)
    before = project.lock()
    overrides = archive_params(other)
    project.set(ingest__archive=overrides["ingest.archive"], ingest__md5=overrides["ingest.md5"])
    assert project.repro() == ["ingest"]
    after = project.lock()
    assert {name: after[name] for name in ALL[1:]} == {name: before[name] for name in ALL[1:]}


def test_exp_run_takes_another_archive_and_exp_show_compares(project: Project, tmp_path: Path) -> None:
    other = write_small_archive(tmp_path / "other.zip", later=86_400)
    settings = [f"-S{key}={value}" for key, value in archive_params(other).items()]
    project.run("dvc", "exp", "run", "--name", "elsewhere", *settings, "-Strain.learning_rate=0.003")
    table = project.run("dvc", "exp", "show", "--csv")
    assert "elsewhere" in table
    assert ",rag.ndcg@10," in table
    assert "train.learning_rate" in table


@pytest.mark.parametrize(
    ("key", "value", "message", "by_params"),
    [
        ("train__epochs", "many", "train.epochs", True),
        ("train__epoch", 3, "train.epoch", True),
        ("index__kind", "Flatt", "index.kind", True),
        ("encode__template", "{plot}", "plot", False),
        ("ingest__archive", "/no/such/file.zip", "/no/such/file.zip", False),
        ("train__history", 5000, "positions", False),
    ],
)
def test_bad_params_give_one_clear_message_and_those_that_are_known_to_be_bad_remove_nothing(
    project: Project, key: str, value: object, message: str, by_params: bool
) -> None:
    before = contents(project.folder / "artifacts")
    project.set(**{key: value})
    output = project.run("dvc", "repro", status=255)
    assert message in output
    assert "error: " in output
    assert "Traceback" not in output
    if not by_params:  # DVC has removed the stage's outputs; the cache and git bring them back
        project.run("dvc", "checkout")
        project.run("git", "checkout", "--quiet", "artifacts")
    assert contents(project.folder / "artifacts") == before


def test_two_runs_give_the_same_lock(project: Project, archive: Path, tmp_path: Path) -> None:
    again = Project.create(tmp_path / "again", archive)
    again.repro()
    first, second = project.lock(), again.lock()
    assert first == second


def test_the_command_shows_metrics_and_recommends(project: Project) -> None:
    table = project.run("hierrec", "metrics")
    assert "hierarchical" in table
    assert "popularity" in table
    assert "ndcg@10" in table
    items = pl.read_parquet(project.folder / "artifacts" / "data" / "items.parquet")
    titles = set(items.select(pl.format("{} ({})", "title", "year")).to_series())
    for variant in VARIANTS:
        command = ("hierrec", "recommend", "--user", "7", "--variant", variant)
        answer = json.loads(project.run(*command, "--json"))
        recommended = {item["title"] for item in answer["recommended"]}
        assert len(recommended) == 10
        assert recommended <= titles
        assert not recommended & {item["title"] for item in answer["history"]}
    output = project.run("hierrec", "recommend", "--user", "nobody", status=1)
    assert "nobody" in output
    assert "Traceback" not in output
