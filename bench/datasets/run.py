"""Run the stages of a workspace one after the other and measure their costs."""

import os
import subprocess
import sys
import time
from pathlib import Path

from hierrec.core.files import read_json, write_json

from bench.dvc_stages import stages_of
from stages.workspace import environment

SKIPPED = ("evaluate_report", "train_final")
"""Stages without metrics of one variant."""


def run_stages(folder: Path) -> dict[str, dict[str, float]]:
    """Run the stages of the workspace that have not run yet.

    `costs.json` of the workspace stores each stage's costs, so that a stopped run can be resumed.

    Returns:
        For each stage `seconds` (wall time), `cpu_seconds`, and `peak_mib`, the peak of resident memory.

    Raises:
        subprocess.CalledProcessError: a stage failed.
    """
    costs = read_json(folder / "costs.json") if (folder / "costs.json").is_file() else {}
    for stage in stages_of(folder / "dvc.yaml"):
        if stage not in SKIPPED and stage not in costs:
            print(f"{time.strftime('%H:%M:%S')} {stage}", flush=True)
            costs[stage] = _run(folder, stage)
            write_json(folder / "costs.json", costs)
    return costs


def _run(folder: Path, stage: str) -> dict[str, float]:
    command = [sys.executable, "-m", f"stages.{stage}"]
    start = time.perf_counter()
    process = subprocess.Popen(command, cwd=folder, env=environment(folder))
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return {
        "seconds": round(time.perf_counter() - start, 1),
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 1),
        "peak_mib": round(usage.ru_maxrss / 1024),
    }
