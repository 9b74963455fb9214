"""Machine properties that decide bits, without torch."""

import json
import os
import subprocess
import sys

import pytest
from hierrec.encode.machine import machine

BOTH = """
import json
from hierrec.encode.machine import machine
without = machine()
import torch
print(json.dumps([without, machine(), torch.get_num_threads()]))
"""


@pytest.mark.parametrize("threads", [None, "1", "2"])
def test_it_knows_the_threads_of_torch_before_torch_is_imported(threads: str | None) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    if threads is not None:
        environment["OMP_NUM_THREADS"] = threads
    done = subprocess.run([sys.executable, "-c", BOTH], env=environment, capture_output=True, text=True, check=True)
    without, imported, torch_threads = json.loads(done.stdout)
    assert without == imported
    assert imported["threads"] == torch_threads


def test_it_knows_the_processor() -> None:
    assert machine()["processor"]


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="the system binds no process to processors")
def test_it_counts_the_cores_that_the_process_may_use() -> None:
    allowed = os.sched_getaffinity(0)
    assert 1 <= machine()["cores"] <= len(allowed)
    os.sched_setaffinity(0, {max(allowed)})
    try:
        assert machine()["cores"] == 1
    finally:
        os.sched_setaffinity(0, allowed)
