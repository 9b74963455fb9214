"""Open a sharded store and look up items, in a fresh process: `python -m bench.growth.store_measure FOLDER`."""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from hierrec.store.store import EmbeddingStore

from bench.growth.measure import PeakMemory

LOOKUPS = 10_000


def measure(folder: Path) -> dict[str, Any]:
    """Return wall and CPU seconds of opening and of lookups by id, and the process's own memory."""
    with PeakMemory() as memory:
        store, opening = timed(lambda: EmbeddingStore.open(folder))
        count = len(store.vectors)
        _, first = timed(lambda: store.vector(f"item-{count - 1}"))
        rows = np.random.default_rng(2).integers(count, size=LOOKUPS).tolist()
        ids = [f"item-{row}" for row in rows]
        _, cold = timed(lambda: store.vectors_of(ids))
        found, warm = timed(lambda: store.vectors_of(ids))
    assert np.array_equal(found, store.vectors[rows])
    return {
        "open": opening,
        "first_lookup_with_the_check_of_its_shard": first,
        f"first_{LOOKUPS}_lookups_with_the_checks_of_all_shards": cold,
        f"{LOOKUPS}_lookups": warm,
        **memory.record,
    }


def timed(action: Callable[[], Any]) -> tuple[Any, dict[str, float]]:
    """Call an action; return its result and its seconds."""
    wall, processor = time.perf_counter(), time.process_time()
    result = action()
    seconds = {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - processor}
    return result, {key: float(f"{value:.3g}") for key, value in seconds.items()}


if __name__ == "__main__":
    print(json.dumps(measure(Path(sys.argv[1]))))
