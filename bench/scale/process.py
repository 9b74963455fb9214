"""A measurement in a process of its own: what it printed, and what it cost."""

import resource
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
    cpu, wall = children_cpu(), time.perf_counter()
    printed = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout
    cost = {"cpu_s": children_cpu() - cpu, "wall_s": time.perf_counter() - wall}
    measured = {**last_object(printed), **cost}
    return {
        key: float(f"{value:.4g}") if isinstance(value, float) else value for key, value in measured.items()
    }


def children_cpu() -> float:
    """Return the CPU seconds of all child processes that have ended, theirs included.

    In microseconds: `os.times` counts in hundredths of a second, of which a short command takes one or none.
    """
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def resident_peak_mb() -> float:
    """Return the most that this process had resident at once, in MiB; mapped files too, as far as they were in memory.

    The kernel's `VmHWM`: `ru_maxrss` would start at what the process was forked from.
    """
    status = Path("/proc/self/status").read_text("utf-8")
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024
