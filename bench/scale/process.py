"""A measurement in a process of its own: what it printed, and what it cost."""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.printed import last_object


def measure(module: str, arguments: Sequence[str]) -> dict[str, Any]:
    """Run `python -m module arguments`, which prints a JSON object.

    Returns:
        What it printed, with `cpu_s` and `wall_s` of the whole process; numbers with four digits.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    command = [sys.executable, "-m", module, *arguments]
    before, start = os.times(), time.perf_counter()
    printed = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout
    wall, after = time.perf_counter() - start, os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    measured = {**last_object(printed), "cpu_s": cpu, "wall_s": wall}
    return {
        key: float(f"{value:.4g}") if isinstance(value, float) else value for key, value in measured.items()
    }


def resident_peak_mb() -> float:
    """Return the most that this process had resident at once, in MiB; mapped files too, as far as they were in memory.

    The kernel's `VmHWM`: `ru_maxrss` would start at what the process was forked from.
    """
    status = Path("/proc/self/status").read_text("utf-8")
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024
