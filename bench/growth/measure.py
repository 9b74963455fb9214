"""Make one measurement in its own process: `python -m bench.growth.measure NAME JSON` prints JSON."""

import json
import sys
import tempfile
import time
from pathlib import Path
from threading import Event, Thread
from typing import Any

import numpy as np

from bench.growth.catalogue import FileVectors, texts
from bench.scale.process import resident_peak_mb

FEW = 3
"""Steps of the shorter measured epoch."""


class PeakMemory:
    """Peak of the process's own memory (`RssAnon`: without mapped files), in MiB, sampled while a block runs."""

    def __enter__(self) -> "PeakMemory":
        self._done, self.peak_mb = Event(), _own_memory_mb()
        self.before_mb = self.peak_mb
        self._thread = Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(0.01):
            self.peak_mb = max(self.peak_mb, _own_memory_mb())

    @property
    def record(self) -> dict[str, float]:
        """MiB at the start and at the peak."""
        return {"memory_before_mb": round(self.before_mb, 1), "memory_peak_mb": round(self.peak_mb, 1)}


def _own_memory_mb() -> float:
    status = Path("/proc/self/status").read_text("utf-8")
    line = next(line for line in status.splitlines() if line.startswith("RssAnon"))
    return int(line.split()[1]) / 1024


def encode(items: int, count: int, seed: int) -> dict[str, float]:
    """Encode texts of a catalogue of `items` with t5-nano; return CPU seconds per thousand."""
    from hierrec.encode.encoder import ItemEncoder
    from hierrec.params import load_params

    encoder = ItemEncoder.of(load_params(Path("params.yaml")).encode)
    sample = texts(count, items, seed)
    encoder.encode(sample[:8], 2048)  # loads the model
    start = time.process_time()
    vectors = encoder.encode(sample, 2048)
    seconds = time.process_time() - start
    return {"cpu_s_per_1000": 1000 * seconds / len(vectors)}


def index(vectors: str, items: int, dimension: int, kind: Any, recall: float, queries: int) -> dict[str, Any]:
    """Build an index, and search the 20 nearest neighbours of items one by one and in one batch."""
    from hierrec.index.build import build_index

    source = FileVectors(Path(vectors), items, dimension)
    rows = np.random.default_rng(items).choice(items, min(queries, items), replace=False)
    asked = source[np.sort(rows)]
    with tempfile.TemporaryDirectory(dir=Path(vectors).parent) as folder:
        with PeakMemory() as memory:
            start = time.process_time()
            built = build_index(source, Path(folder) / "index", "growth", kind, recall)
            build = time.process_time() - start
        files = sum(path.stat().st_size for path in (Path(folder) / "index").iterdir())
        singles = []
        for query in asked[:100]:
            start = time.process_time()
            built.search(query[None], 20)
            singles.append(1000 * (time.process_time() - start))
        start = time.process_time()
        built.search(asked, 20)
        batch = 1000 * (time.process_time() - start) / len(asked)
    return {
        "factory": built.setting.factory,
        "effort": built.setting.effort,
        "recall_at_20": built.setting.recall_at_20,
        "build_and_tune_cpu_s": build,
        "search_one_cpu_ms": float(np.median(singles)),
        "search_batch_cpu_ms": batch,
        "disk_mb": files / 2**20,
        **memory.record,
        "resident_peak_mb": round(resident_peak_mb(), 1),
    }


def train(items: int, dimension: int, residual_width: int, steps: int, seed: int) -> dict[str, float]:
    """Train with sampled softmax over `items` items; return CPU seconds per step, other CPU seconds, and memory.

    The longer of two epochs has so many more `steps`.
    """
    from hierrec.model.checkpoint import new_model
    from hierrec.params import load_params

    changed = {
        "residual_width": residual_width,
        "residual_start": "zero",
        "keys": "product",
        "batch_positions": None,  # steps of `batch_windows` long windows
        "epochs": 1,
        "validate_every": 1,
    }
    params = load_params(Path("params.yaml")).train.model_copy(update=changed)
    frozen = np.random.default_rng(seed).standard_normal((items, dimension), np.float32)
    with PeakMemory() as memory:
        model = new_model(params, frozen)
        # The first epoch warms up the memory. Beside its steps, an epoch writes the state.
        _, few, many = (_epoch(model, params, number, seed) for number in (1, FEW, FEW + steps))
    step = (many - few) / steps
    return {
        "step_cpu_s": step,
        "epoch_beside_steps_cpu_s": few - FEW * step,
        "frozen_mb": frozen.nbytes / 2**20,
        "parameters_mb": 4 * sum(parameter.numel() for parameter in model.parameters()) / 2**20,
        **memory.record,
    }


def _epoch(model: Any, params: Any, steps: int, seed: int) -> float:
    """Train a model for one epoch of `steps` steps on random histories; return the CPU seconds."""
    from hierrec.core.sequences import NO_TARGET, Sequences
    from hierrec.training.resume import TrainingState
    from hierrec.training.trainer import fit

    windows, length = steps * params.batch_windows, params.history + 1
    items = np.random.default_rng([seed, steps]).integers(len(model.items), size=windows * length)
    sequences = Sequences(
        items=items,
        offsets=np.arange(windows + 1) * length,
        train_length=np.full(windows, length),
        test_length=np.full(windows, length),
        validation=np.full(windows, NO_TARGET),
        test=np.full(windows, NO_TARGET),
    )
    start = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        fit(model, sequences, lambda _: {"ndcg@10": 0.0}, TrainingState(Path(folder), "growth"))
    return time.process_time() - start


MEASUREMENTS = {"encode": encode, "index": index, "train": train}

if __name__ == "__main__":
    print(json.dumps(MEASUREMENTS[sys.argv[1]](**json.loads(sys.argv[2]))))
