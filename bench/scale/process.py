"""Run a measurement in its own process and return its output and cost."""

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
        The printed object with `cpu_s` and `wall_s` of the whole process; numbers with four digits.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    command = [sys.executable, "-m", module, *arguments]
    cpu, wall = children_cpu(), time.perf_counter()
    printed = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout
    cost = {"cpu_s": children_cpu() - cpu, "wall_s": time.perf_counter() - wall}
    measured = {**last_object(printed), **cost}
    return {key: float(f"{value:.4g}") if isinstance(value, float) else value for key, value in measured.items()}


def children_cpu() -> float:
    """Return the CPU seconds of all ended child processes and their children.

    The resolution is a microsecond; that of `os.times`, a hundredth of a second, is too coarse for short commands.
    """
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def resident_peak_mb() -> float:
    """Return the peak of this process's resident memory in MiB, including resident pages of mapped files.

    Reads the kernel's `VmHWM`, because `ru_maxrss` would start at the value of the parent process.
    """
    status = Path("/proc/self/status").read_text("utf-8")
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024
