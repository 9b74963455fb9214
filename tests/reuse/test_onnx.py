"""The model as ONNX: the same scores, without this package; another export replaces only an export."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hierrec import Recommender
from hierrec.cli import main
from hierrec.reuse.export import MODEL
from hierrec.reuse.onnx_export import export_onnx

onnxruntime = pytest.importorskip("onnxruntime", reason="needs hierrec[onnx]")
pytest.importorskip("onnxscript", reason="needs hierrec[onnx]")
EXAMPLE = Path(__file__).parents[2] / "examples" / "recommend_onnx.py"


@pytest.fixture(scope="module")
def exported(artifacts: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An export that has replaced an earlier one."""
    folder = tmp_path_factory.mktemp("onnx") / "model"
    folder.mkdir()
    for name in MODEL:
        (folder / name).write_bytes(b"old")
    command = ["export", "onnx", "--artifacts", str(artifacts), "--out", str(folder), "--force"]
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 0, done.output
    return folder


def test_the_model_for_use_is_exported_where_it_is_there(exported: Path, artifacts: Path, tmp_path: Path) -> None:
    shutil.copytree(artifacts / "models" / "rag", tmp_path / "models" / "final")  # the same weights, in base/
    for name in ("data", "item_embeddings"):
        (tmp_path / name).symlink_to(artifacts / name)
    export_onnx(tmp_path, tmp_path / "out")
    assert [(tmp_path / "out" / name).read_bytes() for name in MODEL] == [
        (exported / name).read_bytes() for name in MODEL
    ]


@pytest.mark.parametrize("lengths", [[1], [0, 3], [200, 7, 1], [0]])
def test_scores_are_those_of_the_recommender(exported: Path, artifacts: Path, lengths: list[int]) -> None:
    recommender = Recommender.load(artifacts / "models" / "hierarchical")
    generator = np.random.default_rng(len(lengths))
    histories = [generator.permutation(278)[:length] for length in lengths]
    expected = recommender.score_many([[recommender.item_ids[row] for row in rows] for rows in histories])
    read = json.loads((exported / "config.json").read_text("utf-8"))["history"]
    latest = [history[-read:] for history in histories]
    items = np.zeros((len(lengths), max(1, *map(len, latest), 1)), np.int64)
    for row, history in zip(items, latest, strict=True):
        row[: len(history)] = history
    tower, keys = (onnxruntime.InferenceSession(exported / name) for name in MODEL[:2])
    given = {"items": items, "lengths": np.array([*map(len, latest)])}
    (states,) = tower.run(None, given)
    (scores,) = keys.run(None, {"states": states, **given})
    for row, history in zip(scores, histories, strict=True):
        row[history] = -np.inf
    assert np.isfinite(scores).any()
    np.testing.assert_allclose(scores, expected, rtol=0, atol=1e-5)


def test_the_example_recommends_without_this_package(exported: Path, artifacts: Path) -> None:
    recommender = Recommender.load(artifacts / "models" / "hierarchical")
    history = recommender.item_ids[:5]
    code = (
        "import runpy, sys; sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0]);"
        "assert not {'hierrec', 'torch'} & set(sys.modules)"
    )
    command = [sys.executable, "-c", code, str(EXAMPLE), str(exported), *history]
    paths = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(command, env=paths, capture_output=True, text=True, check=True)
    expected = recommender.recommend(history, 10)
    lines = [line.split("  ") for line in done.stdout.splitlines()]
    assert [item_id for _, item_id in lines] == [item.item_id for item in expected]
    assert [float(score) for score, _ in lines] == pytest.approx([item.score for item in expected], abs=1e-4)
    assert len(EXAMPLE.read_text("utf-8").splitlines()) <= 25


def test_the_files_name_nothing_of_this_machine(exported: Path) -> None:
    assert {path.name for path in exported.iterdir()} == set(MODEL)
    root = str(Path(__file__).parents[2]).encode()
    for path in exported.iterdir():
        assert root not in path.read_bytes()
        assert b"site-packages" not in path.read_bytes()


def test_the_command_replaces_nothing_but_an_export(artifacts: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    command = ["export", "onnx", "--artifacts", str(artifacts), "--out", str(tmp_path)]
    assert "exists already" in CliRunner().invoke(main, command).stderr
    assert "did not write" in CliRunner().invoke(main, [*command, "--force"]).stderr
    assert (tmp_path / "thesis.txt").read_text() == "mine"
