"""Time several functions, alternating between them."""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch


@dataclass(frozen=True)
class Cost:
    """Wall seconds and CPU seconds (of all threads) of a call."""

    wall: float
    cpu: float


def cost_of(function: Callable[[], object], device: str) -> Cost:
    """Return the cost of calling a function; waits for its device."""
    _wait_for(device)
    wall, cpu = time.perf_counter(), time.process_time()
    function()
    _wait_for(device)
    return Cost(time.perf_counter() - wall, time.process_time() - cpu)


def in_turns(functions: Mapping[str, Callable[[], object]], rounds: int, device: str) -> dict[str, list[Cost]]:
    """Call each function once per round, so that other work of the machine affects all alike."""
    costs: dict[str, list[Cost]] = {name: [] for name in functions}
    for _ in range(rounds):
        for name, function in functions.items():
            costs[name].append(cost_of(function, device))
    return costs


def clock_of(device: str) -> str:
    """Return the clock to compare: CPU time on a CPU, wall time on an accelerator."""
    return "wall" if device.startswith("cuda") else "cpu"


def summary(costs: list[Cost]) -> dict[str, Any]:
    """Return the medians and every run."""
    return {
        "wall_seconds": statistics.median(cost.wall for cost in costs),
        "cpu_seconds": statistics.median(cost.cpu for cost in costs),
        "runs": [asdict(cost) for cost in costs],
    }


def _wait_for(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)
