"""Record a contestant's snapshots: one line each in `curve.jsonl`, which names the file of its rankings.

Every contestant uses this module, so it needs numpy only.
"""

import json
import re
import time
from pathlib import Path
from typing import Any

import numpy as np


class Stopwatch:
    """Wall and CPU seconds since the start, without pauses."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()
        self._paused = (0.0, 0.0)

    def pause(self) -> None:
        """Stop counting."""
        self._paused = (time.perf_counter(), time.process_time())

    def resume(self) -> None:
        """Count again."""
        self._wall += time.perf_counter() - self._paused[0]
        self._cpu += time.process_time() - self._paused[1]

    def read(self) -> dict[str, float]:
        """Return `{"wall_seconds": …, "cpu_seconds": …}`."""
        return {
            "wall_seconds": time.perf_counter() - self._wall,
            "cpu_seconds": time.process_time() - self._cpu,
        }


def reset_peak() -> None:
    """Reset the peak of resident memory to the current use (Linux)."""
    Path("/proc/self/clear_refs").write_text("5", "ascii")


def peak_memory() -> float:
    """Return the peak of resident memory in MiB (Linux)."""
    status = Path("/proc/self/status").read_text("ascii")
    (kib,) = re.findall(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
    return int(kib) / 1024


def append(folder: Path, line: dict[str, Any], top: np.ndarray | None = None) -> None:
    """Write one snapshot.

    Args:
        folder: of this contestant's run.
        line: measurements, e.g. seconds and interactions trained on so far.
        top: int64 [V, K], items of each user, best first; -1: no item.
    """
    path = folder / "curve.jsonl"
    if top is not None:
        count = len(path.read_text("utf-8").splitlines()) if path.exists() else 0
        line = {**line, "top": f"top-{count}.npy"}
        np.save(folder / line["top"], top)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps({**line, "peak_memory_mib": round(peak_memory())}, sort_keys=True) + "\n")
