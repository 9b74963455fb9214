"""Only the same training is resumed: its key covers all its inputs, and its state is whole."""

import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from hierrec.core.sequences import Sequences
from hierrec.model.checkpoint import new_model
from hierrec.model.params import TrainParams
from hierrec.training.resume import KEPT, Progress, TrainingState, training_key
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import nn

from stages.workspace import environment, make_workspace
from tests.model.world import ITEMS


def test_only_the_very_same_training_has_the_same_key(
    train_params: TrainParams, frozen: NDArray, sequences: Sequences, monkeypatch: pytest.MonkeyPatch
) -> None:
    candidates = np.ones(ITEMS, np.bool_)
    gaps, rows = np.zeros(len(sequences.items), np.int8), np.zeros((2, 3), np.int64)
    starts = np.zeros(len(sequences.items), np.bool_)
    clock = np.zeros(len(sequences.items), np.int32)
    sequences = replace(sequences, gaps=gaps, session_starts=starts, clock=clock, target_rows=rows)

    def key(params: TrainParams = train_params, vectors: NDArray = frozen, **changes: Any) -> str:
        data = replace(sequences, **changes.pop("data", {}))
        config = changes.pop("config", {})
        model = new_model(changes.pop("weights", params), vectors)
        model.members[0].backbone.config.update(config)
        model.members[0].params = params
        given = {"candidates": candidates, "code": ["a"], **changes}
        return training_key(model, data, **given)

    others = [
        key(train_params.model_copy(update={"epochs": 5})),
        key(train_params.model_copy(update={"seed": 9})),
        key(train_params.model_copy(update={"precision": "bfloat16"})),
        key(train_params.model_copy(update={"processes": 2})),
        key(train_params.model_copy(update={"device": "cuda"})),
        key(weights=train_params.model_copy(update={"seed": 9})),
        key(vectors=frozen + 1),
        key(candidates=~candidates),
        key(code=["b"]),
        *(key(data={name: array + 1}) for name, array in vars(sequences).items()),
        key(config={"attention_dropout": 0.5}),  # as in the folder of a pre-trained backbone that was edited
    ]
    same = key()
    assert key() == same
    for library in (torch, transformers):
        with monkeypatch.context() as patch:
            patch.setattr(library, "__version__", f"{library.__version__}.1")
            others.append(key())
    assert len(others) == 24
    assert len({same, *others}) == 25


class Training:
    """A model of three numbers, its average and its optimizer."""

    def __init__(self, start: float) -> None:
        self.model, self.average = nn.Linear(2, 1), nn.Linear(2, 1)
        for module in (self.model, self.average):
            nn.init.constant_(module.weight, start)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=0.1)
        self.model(torch.ones(2)).backward()
        self.optimizer.step()

    def save(self, folder: Path) -> Path:
        progress = Progress(3, [9], [{"epoch": 3.0}], {"weight": self.model.weight.detach()}, 0.5, 1)
        state = TrainingState(folder, "key")
        state.save(self.model, self.average, self.optimizer, progress)
        return state.path

    def restore(self, folder: Path) -> Progress:
        return TrainingState(folder, "key").restore(self.model, self.average, self.optimizer)


def test_a_state_comes_back_as_it_was(tmp_path: Path) -> None:
    saved, other = Training(1.0), Training(2.0)
    saved.save(tmp_path)
    progress = other.restore(tmp_path)
    assert (progress.epoch, progress.steps, progress.curve) == (3, [9], [{"epoch": 3.0}])
    assert (progress.best_metric, progress.stale) == (0.5, 1)
    assert torch.equal(other.model.weight, saved.model.weight)
    assert torch.equal(other.average.weight, saved.average.weight)
    assert torch.equal(progress.best["weight"], saved.model.weight)
    moments = [training.optimizer.state_dict()["state"][0]["exp_avg"] for training in (saved, other)]
    assert torch.equal(*moments)


def test_a_running_training_shows_its_curve(tmp_path: Path) -> None:
    training, curve = Training(1.0), tmp_path / "plots" / "curve.csv"
    state = TrainingState(tmp_path, "key", curve)
    progress = Progress(1, [3], best=dict(training.model.named_parameters()))
    state.save(training.model, training.average, training.optimizer, progress)
    assert not curve.exists()  # nothing is validated yet
    for epoch in (2, 4):
        progress.curve.append({"epoch": epoch, "ndcg@10": 0.25 * epoch})
        state.save(training.model, training.average, training.optimizer, progress)
        assert len(curve.read_text().splitlines()) == 1 + epoch // 2
    assert curve.read_text() == "epoch,ndcg@10\n2,0.5\n4,1.0\n"


@settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_no_flipped_bit_of_a_state_is_trained_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], data: st.DataObject
) -> None:
    path = Training(1.0).save(tmp_path)
    content = bytearray(path.read_bytes())
    bit = data.draw(st.integers(0, 8 * len(content) - 1))
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)
    training = Training(2.0)
    before = training.model.weight.detach().clone()
    assert training.restore(tmp_path) == Progress()
    assert torch.equal(training.model.weight, before)
    assert "starts from scratch" in capsys.readouterr().err


@pytest.mark.parametrize("content", [b"", b"x" * 20, b"x" * 500, None])
def test_garbage_in_place_of_a_state_means_a_fresh_start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes | None
) -> None:
    path = Training(1.0).save(tmp_path)
    path.unlink()
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    assert Training(2.0).restore(tmp_path) == Progress()
    assert "starts from scratch" in capsys.readouterr().err


def test_states_that_were_given_up_are_removed(tmp_path: Path) -> None:
    old, young, other = (tmp_path / name for name in ("old.state", "young.state", "old.txt"))
    for path, age in ((old, KEPT + 60), (young, KEPT - 3600), (other, KEPT + 60)):
        path.write_bytes(b"")
        os.utime(path, (time.time(), time.time() - age))
    TrainingState(tmp_path, "key").remove()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["old.txt", "young.state"]


@pytest.mark.usefixtures("shared_imports")
def test_only_code_that_a_training_runs_is_in_its_key(tmp_path: Path) -> None:
    folder = tmp_path / "project"
    make_workspace(folder)
    code = """
from pathlib import Path
import stages.train_hierarchical
from hierrec.training.resume import code_hashes
before = code_hashes()
for name in ("cli/metrics", "report/page", "rag/datastore", "training/trainer", "core/params"):
    path = Path("pipeline") / f"{name}.py"
    content = path.read_text()
    path.write_text(content + "# a comment\\n")
    print(name, code_hashes() == before)
    path.write_text(content)
"""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=folder, env=environment(folder), capture_output=True, text=True)
    assert done.stdout.splitlines() == [
        "cli/metrics True",
        "report/page True",
        "rag/datastore True",
        "training/trainer False",
        "core/params False",
    ], done.stderr
