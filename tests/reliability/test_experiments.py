"""Memory that runs out, Ctrl-C, and how much work a kill costs."""

import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hierrec.core.signals import INTERRUPTED

from tests.module_output import module_output
from tests.reliability.experiments import BATCH, INTERRUPTS

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return module_output("tests.reliability.experiments", tmp_path_factory.mktemp("experiments"))


def test_memory_that_runs_out_halves_the_batches(results: dict[str, Any]) -> None:
    found = results["reduced"]
    halvings = BATCH / found["batch_tokens"]
    assert halvings in {2.0**power for power in range(1, 13)}
    assert found["equal"], "the vectors are not those of a run with that batch size"


def test_a_text_for_which_memory_never_suffices_is_a_typed_error(results: dict[str, Any]) -> None:
    message = results["too_large"]["error"]
    assert re.search(r"t5-nano.*: memory ran out in a batch of 1 texts, 1 x \d+ tokens", message)
    assert "what to do: lower max_length" in message


def test_a_killed_encode_loses_one_batch_file_at_most(results: dict[str, Any]) -> None:
    killed, before, encoded, after = results["encode"]
    assert killed is None
    total = 120
    lost = sum(map(int, before)) - (total - encoded)
    assert 0 < encoded < total
    assert 0 <= lost <= int(before[-1])
    assert sum(map(int, after)) == total + lost


def test_a_killed_training_loses_one_epoch_at_most(results: dict[str, Any]) -> None:
    killed, before, weights, after = results["train"]
    assert killed is None
    assert len(before) == 4  # killed at the end of the fourth, before it was saved
    assert len(after) == 6 + 1
    assert weights == results["undisturbed"]


@pytest.mark.parametrize("stage", INTERRUPTS)
def test_an_interrupted_stage_says_so_in_one_line_and_leaves_nothing_half_written(
    results: dict[str, Any], stage: str
) -> None:
    found = results["interrupts"][stage]
    assert found["status"] == 128 + signal.SIGINT
    said = [line for line in found["output"].splitlines() if " epoch=" not in line]  # validations of a training
    assert [line for line in said if line] == [INTERRUPTED]
    assert found["half"] == []
    assert found["differs"] == []


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc to see when torch is loaded")
def test_an_interrupt_while_libraries_are_imported_is_one_line() -> None:
    command = [sys.executable, "-m", "stages.train_rag"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    maps = Path(f"/proc/{process.pid}/maps")
    while process.poll() is None and "libtorch_cpu" not in maps.read_text():
        time.sleep(0.001)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate()
    assert process.returncode == 128 + signal.SIGINT
    assert (output, errors) == ("", f"{INTERRUPTED}\n")
