"""A starting stage imports no heavy library that it does not compute with."""

import json
import subprocess
import sys

import pytest

from tests.stages.test_dvc_yaml import MODULES, ROOT, STAGES, declared_libraries

HEAVY = set(MODULES) - {"jinja2", "scipy"}  # which torch and transformers import too

PROGRAM = f"""
import importlib, json, os, sys

def imported(stage):
    reading, writing = os.pipe()
    if not os.fork():
        importlib.import_module(f"stages.{{stage}}")
        os.write(writing, json.dumps(sorted({HEAVY} & set(sys.modules))).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as file:
        return json.load(file)

before, after = (stages.split() for stages in sys.argv[1:])
found = {{stage: imported(stage) for stage in before}}
import torch, transformers.models.phi3.modeling_phi3
print(json.dumps(found | {{stage: imported(stage) for stage in after}}))
"""
"""Imports each stage in a fork; stages that may import transformers are forked after its one import."""


@pytest.fixture(scope="module")
def heavy_imports() -> dict[str, set[str]]:
    """The heavy libraries that each stage imports."""
    before = [name for name in STAGES if not set(declared_libraries(name)) >= {"torch", "transformers"}]
    before += [name for name in WITHOUT_TORCH if name not in before]
    after = [name for name in STAGES if name not in before]
    command = [sys.executable, "-c", PROGRAM, " ".join(before), " ".join(after)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return {stage: {MODULES[module] for module in modules} for stage, modules in json.loads(done.stdout).items()}


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_imports_no_library_that_it_does_not_declare(heavy_imports: dict[str, set[str]], name: str) -> None:
    assert heavy_imports[name] <= set(declared_libraries(name))


WITHOUT_TORCH = ("params", "ingest", "tune", "encode", "index")


@pytest.mark.parametrize("name", WITHOUT_TORCH)
def test_these_start_without_torch(heavy_imports: dict[str, set[str]], name: str) -> None:
    """They import it where they need it: `tune` if it is switched on, `encode` for a text that it has not encoded."""
    assert not heavy_imports[name] & {"torch", "transformers", "scikit-learn"}


def test_params_are_checked_without_numpy(heavy_imports: dict[str, set[str]]) -> None:
    assert "numpy" not in heavy_imports["params"]
