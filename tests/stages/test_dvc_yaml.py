"""dvc.yaml declares the exact dependencies of every stage, and avoids DVC's traps."""

import importlib
import re
import tomllib
from typing import Any, get_args

import pytest
from hierrec.core import stage as stage_module
from hierrec.core.stage import Stage
from hierrec.model.params import TrainParams
from hierrec.params import Params
from ruamel.yaml import YAML

from bench.dvc_stages import stages_of
from stages.params import WRITTEN
from tests.stages.imports import ROOT, artifact_folders, code_files, imports

PIPELINE: dict[str, Any] = YAML(typ="safe").load(ROOT / "dvc.yaml")
STAGES = stages_of(ROOT / "dvc.yaml")
PARAMS: dict[str, Any] = YAML(typ="safe").load(ROOT / "params.yaml")
# They change no artifact: they find the package, and handle an interrupt at the start.
FRAME = {"pipeline/__init__.py", "stages/__init__.py"}
MOST = 90
"""Code dependencies in dvc.yaml."""
FUSED = {f"artifacts/models/{name}" for name in ("rag", "refit")}
"""Models that read the times of all users' items."""

# Libraries that compute or write files, by what is imported.
MODULES = {
    "torch": "torch",
    "transformers": "transformers",
    "transformers.AutoTokenizer": "tokenizers",
    "faiss": "faiss-cpu",
    "sklearn": "scikit-learn",
    "scipy": "scipy",
    "numpy": "numpy",
    "polars": "polars",
    "pyarrow": "pyarrow",
    "safetensors": "safetensors",
    "jinja2": "jinja2",
}

each_stage = pytest.mark.parametrize("name", STAGES)


def stage(name: str) -> Stage:
    return importlib.import_module(f"stages.{name}").main


def paths(entries: list[Any]) -> list[tuple[str, dict[str, Any]]]:
    return [(entry, {}) if isinstance(entry, str) else next(iter(entry.items())) for entry in entries]


def code_deps(name: str) -> set[str]:
    return {path for path in STAGES[name]["deps"] if path.startswith(("pipeline/", "stages/"))}


def declared_libraries(name: str) -> list[str]:
    """Return the libraries in dvc.yaml that a stage depends on, sorted."""
    files = [entry for entry in STAGES[name].get("params", []) if not isinstance(entry, str)]
    keys = [key for entry in files for key in entry["pyproject.toml"]]
    return sorted(key.removeprefix("tool.hierrec.libraries.") for key in keys)


def test_the_stages_stand_in_order() -> None:
    order = list(dict.fromkeys(name.partition("_")[0] for name in STAGES))
    assert order == ["params", "ingest", "tune", "encode", "index", "train", "evaluate"]


@each_stage
def test_it_runs_its_own_file(name: str) -> None:
    assert STAGES[name]["cmd"] == f"python -m stages.{name}"


@each_stage
def test_it_depends_on_the_rooms_whose_code_it_runs_and_no_others(name: str) -> None:
    rooms = {"/".join(path.split("/")[:2]) for path in code_files(name) - FRAME}
    assert code_deps(name) == rooms
    assert {path for path in rooms if (ROOT / path).is_file()} == {f"stages/{name}.py"}


def test_the_stages_depend_on_few_rooms() -> None:
    definitions = [definition.get("do", definition) for definition in PIPELINE["stages"].values()]
    deps = [path for definition in definitions for path in definition["deps"]]
    assert sum(path.startswith(("pipeline/", "stages/")) for path in deps) <= MOST


def test_dvc_passes_over_what_python_compiles() -> None:
    assert "__pycache__/" in (ROOT / ".dvcignore").read_text("utf-8").splitlines()


@each_stage
def test_it_depends_on_artifacts_of_earlier_stages(name: str) -> None:
    made: set[str] = set()
    for earlier, definition in STAGES.items():
        if earlier == name:
            break
        for kind in ("outs", "metrics", "plots"):
            made |= {path for path, _ in paths(definition.get(kind, []))}
    deps = {path for path in STAGES[name]["deps"] if path.startswith("artifacts/")}
    for time in get_args(TrainParams.model_fields["time"].annotation):
        assert {path.replace("${train.time}", time) for path in deps} <= made


@each_stage
def test_it_declares_the_params_that_it_reads_and_the_libraries_that_compute_or_write_in_its_code(
    name: str,
) -> None:
    sections = {entry for entry in STAGES[name].get("params", []) if isinstance(entry, str)}
    assert sections == set(stage(name).sections)
    imported = imports(name)
    libraries = {
        library for module, library in MODULES.items() if any(f"{name}.".startswith(f"{module}.") for name in imported)
    }
    assert declared_libraries(name) == sorted(libraries)


@each_stage
def test_it_declares_the_artifacts_that_it_uses_and_no_more(name: str) -> None:
    kinds = ("deps", "outs", "metrics", "plots")
    declared = {path for kind in kinds for path, _ in paths(STAGES[name].get(kind, []))}
    declared = {path for path in declared if path.startswith("artifacts/")}
    if name != "params":  # its file only says that the params were checked
        declared -= {str(WRITTEN)}
    used = {str(getattr(stage_module, constant)) for constant in artifact_folders(name)}
    used |= {str(path) for path in [getattr(importlib.import_module(f"stages.{name}"), "WRITTEN", None)] if path}
    assert {"/".join(path.split("/")[:2]) for path in declared} == used
    source = (ROOT / "stages" / f"{name}.py").read_text("utf-8")
    models = {f"artifacts/models/{model}" for model in re.findall(r'MODELS / "(\w+)"', source)}
    assert {path for path in declared if path.startswith("artifacts/models/")} == models


@each_stage
def test_a_stage_that_reads_the_inputs_of_models_depends_on_the_gaps_that_they_hold(name: str) -> None:
    source = (ROOT / "stages" / f"{name}.py").read_text("utf-8")
    gaps = "artifacts/data/times/${train.time}.parquet"
    assert ("load_inputs(" in source) == (gaps in {path for path, _ in paths(STAGES[name].get("deps", []))})


@each_stage
def test_only_metrics_and_plots_stay_out_of_the_cache(name: str) -> None:
    assert all(options.get("cache", True) for _, options in paths(STAGES[name].get("outs", [])))
    for kind in ("metrics", "plots"):
        for _, options in paths(STAGES[name].get(kind, [])):
            assert options["cache"] is False


@each_stage
def test_the_run_cache_of_dvc_keeps_every_out(name: str) -> None:
    if name == "params":  # there is nothing worth keeping
        return
    for kind in ("outs", "metrics", "plots"):
        assert not any(options.get("persist") for _, options in paths(STAGES[name].get(kind, [])))


def test_every_param_has_a_default_that_is_valid_and_no_name_that_dvc_passes_over() -> None:
    Params.model_validate(PARAMS)

    def keys(node: Any) -> set[str]:
        if not isinstance(node, dict):
            return set()
        return set(node) | {key for value in node.values() for key in keys(value)}

    assert not keys(PARAMS) & {"size", "nfiles"}


def test_nothing_that_later_stages_read_holds_ratings_or_times() -> None:
    for name in STAGES:
        assert not {"artifacts/data/ratings.parquet", "artifacts/data/manifest.json"} & set(STAGES[name]["deps"])
        # Other times in the archive rerun no stage of the sequence model, unless it reads them.
        times = {path for path in STAGES[name]["deps"] if "times" in path}
        fused = set(STAGES[name]["deps"]) & FUSED or name == "train_rag"
        clock = {"artifacts/data/times/clock.parquet"} if fused else set()
        assert times - {"artifacts/data/times/${train.time}.parquet"} == clock


def test_declared_library_versions_are_those_of_the_lock() -> None:
    lock = dict(
        line.removesuffix(" \\").split("==")
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if "==" in line
    )
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hierrec"]["libraries"]
    assert declared == {name: lock[name] for name in declared}


def test_other_projects_find_the_artifacts_by_name() -> None:
    outs = {path for definition in STAGES.values() for path, _ in paths(definition.get("outs", []))}
    assert {entry["path"] for entry in PIPELINE["artifacts"].values()} <= outs
    assert "item-embeddings" in PIPELINE["artifacts"]
