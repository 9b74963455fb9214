"""The training stage in two processes: alone, by torchrun, and after a kill."""

import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import torch
from hierrec.core.errors import ParamsError
from hierrec.core.files import read_json
from hierrec.core.stage import Stage
from hierrec.training.distributed import AGAIN

from stages.workspace import environment, set_params
from tests.reliability.sample_stages import contents
from tests.shared_imports import commands

STAGE = (sys.executable, "-m", "stages.train_hierarchical")
TORCHRUN = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
PARAMS = {"train.processes": 2, "train.epochs": 6, "train.validate_every": 2}


@pytest.fixture(scope="module")
def workspace(sample_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the sample's workspace, trained by one process, with params for two."""
    folder = tmp_path_factory.mktemp("launch") / "project"
    shutil.copytree(sample_run, folder, symlinks=True)
    set_params(folder / "params.yaml", PARAMS)
    return folder


def start(folder: Path, *command: str) -> subprocess.Popen[str]:
    settings = {"OMP_NUM_THREADS": "1", "PYTHON_EXEC": str(commands() / "python")}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, cwd=folder, env=environment(folder) | settings, **pipes)  # type: ignore[call-overload]


def kill_second(process: subprocess.Popen[str], cache: Path) -> None:
    """Kill the second of the stage's processes once an epoch is finished."""
    while not list(cache.glob("train/*.state")):
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    children = psutil.Process(process.pid).children()
    [second] = [child for child in children if child.environ().get("RANK") == "1"]
    second.kill()


def test_killed_and_again_it_makes_what_torchrun_makes(workspace: Path, tmp_path: Path) -> None:
    undisturbed = Path(shutil.copytree(workspace, tmp_path / "undisturbed", symlinks=True))
    process = start(undisturbed, *TORCHRUN, "-m", "stages.train_hierarchical")
    output, errors = process.communicate()
    assert process.returncode == 0, errors
    assert output.count("best validation") == 1
    expected = contents(undisturbed / "artifacts")
    before = contents(workspace / "artifacts")
    assert expected != before
    assert read_json(undisturbed / "artifacts/models/hierarchical/config.json")["train"]["processes"] == 2

    process = start(workspace, *STAGE)
    kill_second(process, workspace / ".cache")
    output, errors = process.communicate()
    assert (process.returncode, output) == (1, "")
    assert "process 1 of 2 ended with SIGKILL" in errors
    assert errors.endswith(f"what to do: {AGAIN}\n")
    assert "Traceback" not in errors
    assert contents(workspace / "artifacts") == before

    process = start(workspace, *STAGE)
    output, errors = process.communicate()
    assert process.returncode == 0, errors
    assert output.count("best validation") == 1
    assert contents(workspace / "artifacts") == expected
    assert not list((workspace / ".cache" / "train").iterdir())


@pytest.mark.parametrize(
    ("number", "processes"),
    [(signal.SIGINT, 2), (signal.SIGTERM, 1), (signal.SIGTERM, 2), (signal.SIGHUP, 2)],
)
def test_a_signal_ends_all(workspace: Path, tmp_path: Path, number: signal.Signals, processes: int) -> None:
    folder = Path(shutil.copytree(workspace, tmp_path / "project", symlinks=True))
    set_params(folder / "params.yaml", {"train.epochs": 1000, "train.patience": 1000, "train.processes": processes})
    process = start(folder, *STAGE)
    while not list((folder / ".cache").glob("train/*.state")):
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    children = psutil.Process(process.pid).children()
    process.send_signal(number)
    _, errors = process.communicate()
    assert process.returncode == 128 + number
    assert "Traceback" not in errors
    assert errors.count("interrupted") == 1
    assert not psutil.wait_procs(children, timeout=30)[1]


def test_a_gpu_that_is_not_there_is_said_once(workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Path(shutil.copytree(workspace, tmp_path / "project", symlinks=True))
    set_params(folder / "params.yaml", {"train.device": "cuda"})
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    process = start(folder, *STAGE)
    output, errors = process.communicate()
    assert (process.returncode, output) == (1, "")
    assert errors.startswith("error: params.yaml, key train.device: ")
    assert errors.count("what to do: set it to cpu") == 1
    assert len(errors.splitlines()) == 2


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two GPUs and a torch that can use them")
def test_two_processes_train_on_two_gpus(workspace: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(workspace, tmp_path / "project", symlinks=True))
    set_params(folder / "params.yaml", {"train.device": "cuda"})
    process = start(folder, *STAGE)
    output, errors = process.communicate()
    assert process.returncode == 0, errors
    assert output.count("best validation") == 1


def test_a_stage_of_one_process_refuses_torchrun(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(workspace)
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr(sys, "argv", ["stage", "--debug"])
    with pytest.raises(ParamsError, match="runs in one process"):
        Stage(lambda: [])()
