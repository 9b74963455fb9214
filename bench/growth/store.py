"""Measure opening and lookups of a sharded store: `python -m bench.growth.store [--quick]` writes store.json."""

import json
import tempfile
import time
from pathlib import Path
from typing import Any

import click
import numpy as np
import polars as pl
from hierrec.core.files import write_json
from hierrec.encode.store_writer import write_store
from hierrec.store.whitening import Whitening

from bench.machine import describe_machine
from bench.peers.command import RESULTS
from bench.scale.process import measure

WIDTH = 64
NAMELESS = {"id": "generated", "revision": None} | dict.fromkeys(
    ("config_sha256", "tokenizer_sha256", "weights_sha256"), ""
)


@click.command()
@click.option("--quick", is_flag=True, help="Smoke test on a small store, in seconds.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder; default: bench/results/, with --quick no file.")
def main(quick: bool, out: Path | None) -> None:
    """Write a store of 10 million generated rows, and measure it in a separate process."""
    count, shard_rows = (20_000, 5_000) if quick else (10_000_000, 1_000_000)
    with tempfile.TemporaryDirectory(prefix="store-") as folder:
        start = time.process_time()
        write(Path(folder) / "store", count, shard_rows)
        writing = time.process_time() - start
        size = sum(path.stat().st_size for path in (Path(folder) / "store").iterdir())
        measured = measure("bench.growth.store_measure", [str(Path(folder) / "store")])
    results: dict[str, Any] = {
        "rows": count,
        "width": WIDTH,
        "shard_rows": shard_rows,
        "disk_mb": round(size / 2**20),
        "write_cpu_s": round(writing, 1),
        **measured,
        "machine": describe_machine("cpu"),
    }
    click.echo(json.dumps(results, indent=2))
    if out is not None or not quick:
        write_json((out or RESULTS) / "store.json", results)


def write(folder: Path, count: int, shard_rows: int) -> None:
    """Write a store of random vectors and generated items."""
    vectors = np.random.default_rng(1).standard_normal((count, WIDTH), np.float32)
    row = pl.int_range(count)
    items = pl.select(item_id=pl.format("item-{}", row), title=pl.format("Film {}", row))
    whitening = Whitening(np.zeros(WIDTH, np.float32), np.eye(WIDTH, dtype=np.float32))
    description = {"model": NAMELESS, "pooling": "mean", "max_length": 1, "dtype": "float32"}
    texts = items["title"].to_list()
    write_store(folder, items, texts, vectors, whitening, "{title}", description, shard_rows)


if __name__ == "__main__":
    main()
