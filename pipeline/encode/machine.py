"""The machine that computes: all of it that decides the last bits of a sum."""

import os
import platform
import sys
from pathlib import Path
from typing import Any

CHOICES = (
    "OMP_NUM_THREADS",
    "OMP_THREAD_LIMIT",
    "OMP_DYNAMIC",
    "MKL_NUM_THREADS",
    "MKL_DYNAMIC",
    "MKL_CBWR",
    "MKL_ENABLE_INSTRUCTIONS",
    "ONEDNN_MAX_CPU_ISA",
    "ONEDNN_DEFAULT_FPMATH_MODE",
    "ATEN_CPU_CAPABILITY",
    "CUDA_VISIBLE_DEVICES",
    "NVIDIA_TF32_OVERRIDE",
    "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE",
)
"""Environment variables that choose threads, instructions and precision."""

PROCESSOR = {"vendor_id", "cpu family", "model", "flags", "CPU implementer", "CPU part", "Features"}
"""Lines of /proc/cpuinfo that decide which instructions the libraries choose."""


def machine() -> dict[str, Any]:
    """Return threads, processor, GPUs and the environment's choices, as JSON values.

    Equal values, equal bits, with the same libraries. torch is not imported: unless it already is, its number of
    threads is worked out. Where that is wrong, a cache keyed on it misses, no more: the environment's choices are in
    the key too.
    """
    gpus = [
        path.read_text("utf-8") for path in sorted(Path("/proc/driver/nvidia/gpus").glob("*/information"))
    ]
    return {
        "threads": _threads(),
        "cores": _cores(),
        "processor": _processor(),
        "gpus": [line for gpu in gpus for line in gpu.splitlines() if line.startswith("Model:")],
        "environment": {name: os.environ[name] for name in CHOICES if name in os.environ},
    }


def _threads() -> int:
    if (torch := sys.modules.get("torch")) is not None:
        return torch.get_num_threads()
    wanted = os.environ.get("MKL_NUM_THREADS") or os.environ.get("OMP_NUM_THREADS") or ""
    return min(int(wanted) if wanted.isdecimal() and int(wanted) else sys.maxsize, _cores())


def _cores() -> int:
    """Count the cores that this process may use, hyperthreads of one core once."""
    if not hasattr(os, "sched_getaffinity"):
        return os.cpu_count() or 1
    processors = os.sched_getaffinity(0)
    try:
        topology = [
            Path(f"/sys/devices/system/cpu/cpu{number}/topology/thread_siblings_list")
            for number in processors
        ]
        return len({path.read_text("ascii") for path in topology})
    except OSError:
        return len(processors)


def _processor() -> list[str]:
    try:
        first = Path("/proc/cpuinfo").read_text("utf-8").partition("\n\n")[0]
    except OSError:
        return [platform.machine(), platform.processor()]
    return [line for line in first.splitlines() if line.partition(":")[0].strip() in PROCESSOR]
