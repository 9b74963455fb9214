"""The example runs as it stands, where artifacts are."""

import runpy
from contextlib import chdir
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "recommend.py"


def test_the_example_runs(sample_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with chdir(sample_run):
        runpy.run_path(str(EXAMPLE))
    output = capsys.readouterr().out
    assert "100 users, " in output
    assert "(278,) float32 True" in output
    assert output.count("similarity") >= 1
