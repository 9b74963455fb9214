"""The properties of a machine that decide the last bits of a sum."""

import os
import platform
import sys
from pathlib import Path
from typing import Any

# Environment variables that choose threads, instructions and precision.
CHOICES = (
    *("OMP_NUM_THREADS", "OMP_THREAD_LIMIT", "OMP_DYNAMIC"),
    *("MKL_NUM_THREADS", "MKL_DYNAMIC", "MKL_CBWR", "MKL_ENABLE_INSTRUCTIONS"),
    *("ONEDNN_MAX_CPU_ISA", "ONEDNN_DEFAULT_FPMATH_MODE", "ATEN_CPU_CAPABILITY"),
    *("CUDA_VISIBLE_DEVICES", "NVIDIA_TF32_OVERRIDE", "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE"),
)
# Lines of /proc/cpuinfo that decide which instructions the libraries choose.
PROCESSOR = {"vendor_id", "cpu family", "model", "flags", "CPU implementer", "CPU part", "Features"}


def machine() -> dict[str, Any]:
    """Return threads, processor, GPUs and environment, as JSON values: with equal values, sums have equal bits.

    torch is not imported. If it is not imported yet, its number of threads is computed; a wrong number costs a cache
    miss and no more, because the environment is part of the cache's key too.
    """
    gpus = sorted(Path("/proc/driver/nvidia/gpus").glob("*/information"))
    lines = [line for path in gpus for line in path.read_text("utf-8").splitlines()]
    return {
        "threads": _threads(),
        "cores": _cores(),
        "processor": _processor(),
        "gpus": [line for line in lines if line.startswith("Model:")],
        "environment": {name: os.environ[name] for name in CHOICES if name in os.environ},
    }


def _threads() -> int:
    if (torch := sys.modules.get("torch")) is not None:
        return torch.get_num_threads()
    wanted = os.environ.get("MKL_NUM_THREADS") or os.environ.get("OMP_NUM_THREADS") or ""
    return min(int(wanted) if wanted.isdecimal() and int(wanted) else sys.maxsize, _cores())


def _cores() -> int:
    """Return the number of physical cores that this process may use."""
    if not hasattr(os, "sched_getaffinity"):
        return os.cpu_count() or 1
    processors = os.sched_getaffinity(0)
    siblings = "/sys/devices/system/cpu/cpu{}/topology/thread_siblings_list"
    try:
        return len({Path(siblings.format(number)).read_text("ascii") for number in processors})
    except OSError:
        return len(processors)


def _processor() -> list[str]:
    try:
        first = Path("/proc/cpuinfo").read_text("utf-8").partition("\n\n")[0]
    except OSError:
        return [platform.machine(), platform.processor()]
    return [line for line in first.splitlines() if line.partition(":")[0].strip() in PROCESSOR]
