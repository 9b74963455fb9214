"""dvc.yaml of the comparison names the code that decides a run's numbers."""

from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from bench.ablation.settings import HERE
from tests.stages import imports

ROOT = HERE.parents[1]
STAGES: dict[str, Any] = YAML(typ="safe").load(HERE / "dvc.yaml")["stages"]

# Not named: code that only checks, reads or writes. A change there would void hours of training.
PLUMBING = {
    "columns",
    "progress",
    "errors",
    "files",
    "gpu",
    "model_files",
    "params",
    "resume",
    "settings",
    "signals",
    "store_files",
    "tables",
}


def code_of(program: Path) -> set[Path]:
    """Return the files of this repository that a program runs, `__init__` files aside."""
    todo, seen = [program], {program}
    while todo:
        found = {file for name in imports.imported(todo.pop()) for file in module_files(name)} - seen
        seen |= found
        todo += found
    return {path.relative_to(ROOT) for path in seen if path.name != "__init__.py"}


def module_files(name: str) -> set[Path]:
    """Return the file of a module of this folder, or of the library with the packages above it."""
    folder, _, module = name.rpartition("bench.ablation.")
    path = HERE / f"{module.partition('.')[0]}.py"
    return {path} if module and not folder and path.is_file() else imports.module_files(name)


@pytest.mark.parametrize(("stage", "module"), [("items", "run"), ("cold", "cold")])
def test_a_training_depends_on_the_code_that_computes(stage: str, module: str) -> None:
    named = {(HERE / path).resolve() for path in STAGES[stage]["deps"] if path.endswith(".py")}
    named = {path.relative_to(ROOT) for path in named}
    used = code_of(HERE / f"{module}.py")
    assert named <= used
    assert {path.stem for path in used - named} == PLUMBING


def test_the_groups_differ_in_what_they_run_alone() -> None:
    for group in ("deciding", "varying", "encoders"):
        same = {key: value for key, value in STAGES[group].items() if key != "matrix"}
        assert same == {key: value for key, value in STAGES["items"].items() if key != "matrix"}
        assert set(STAGES[group]["matrix"].values()) == {
            f"${{{group}.{kind}}}" for kind in ("vectors", "rows", "seeds")
        }
