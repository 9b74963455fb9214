"""A stage that starts has imported none of the heavy libraries that it does not compute with."""

import importlib
import subprocess
import sys

import pytest
from hierrec.core.stage import Stage

from tests.stages.test_dvc_yaml import MODULES, ROOT, STAGES

HEAVY = set(MODULES) - {"jinja2", "scipy"}  # which torch and transformers import too


def heavy_imports(code: str) -> set[str]:
    program = f"import sys\n{code}\nprint(*({HEAVY} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return {MODULES[module] for module in done.stdout.split()}


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_imports_no_library_that_it_does_not_declare(name: str) -> None:
    stage: Stage = importlib.import_module(f"stages.{name}").main
    assert heavy_imports(f"import stages.{name}") <= set(stage.libraries)


@pytest.mark.parametrize("name", ["ingest", "tune", "encode", "index", "evaluate_compare"])
def test_these_start_without_torch(name: str) -> None:
    """`tune` imports it where it is switched on, `encode` for a text that it has not encoded before."""
    assert not heavy_imports(f"import stages.{name}") & {"torch", "transformers", "scikit-learn"}
