"""`python -m bench.speed.encoding`: time the encoding of texts, against sentence-transformers with the same weights.

Each contestant runs in its own process. The time includes tokenising, but not loading the model or the texts. Then ours
encodes the items again, once unchanged and once with a few changed.
"""

import json
import os
import statistics
import subprocess
import sys
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
import numpy as np
import polars as pl
from hierrec.core.files import read_json
from hierrec.core.params import Precision
from hierrec.core.tables import load_items
from hierrec.encode.model_files import ModelFiles
from hierrec.encode.template import render_fields
from hierrec.params import load_params

from bench.peers.command import run
from bench.peers.contestants import PEERS_PYTHON, THEIRS, Contestant, missing, run_contestant
from bench.peers.sample import ROOT
from bench.speed.options import artifacts_option, options

OURS, BFLOAT16 = "ours", "ours, bfloat16"
THEIR_DEFAULT, THEIR_BEST = "sentence-transformers", "sentence-transformers, best batch"
DEFAULT_BATCH = 32
BATCH_SIZES = (8, 16, 64, DEFAULT_BATCH)
MODEL, WIDTH = "t5-nano", 256
LONGEST = {"short": 128, "abstracts": 256}
"""Tokens read of a text."""
CHANGED = 10


def compare(artifacts: Path, abstracts: Path | None, rounds: int, threads: int) -> dict[str, Any]:
    """Time all texts.

    Args:
        artifacts: folder of the data.
        abstracts: JSON, id to text; None: no long texts.
        rounds: runs of each contestant, alternating.
        threads: of each contestant.

    Returns:
        `ratios`: CPU time of the others over ours in float32, by kind of text; `texts`: for each kind, texts a second,
        and the greatest difference of two vectors' components; `again`: results of encoding again.
    """
    items = load_items(artifacts / "data" / "items.parquet")
    kinds = {"short": render_fields(items, load_params(ROOT / "params.yaml").encode.templates)[1]}
    if abstracts is not None:
        kinds["abstracts"] = list(read_json(abstracts).values())
    measured = {kind: _compare(texts, LONGEST[kind], rounds, threads) for kind, texts in kinds.items()}
    reason = missing()
    return {
        "clock": "cpu",
        "ratios": {kind: measured[kind]["ratios"] for kind in kinds},
        "texts": measured,
        "again": encode_again(items, threads),
        "skipped": ({} if reason is None else {THEIR_DEFAULT: reason})
        | ({} if abstracts is not None else {"abstracts": "no file is named (--abstracts)"}),
    }


def _compare(texts: list[str], longest: int, rounds: int, threads: int) -> dict[str, Any]:
    batch_tokens = load_params(ROOT / "params.yaml").encode.batch_tokens
    common = {"threads": threads, "device": "cpu", "max_length": longest}
    ways = {OURS: _ours(batch_tokens, "float32"), BFLOAT16: _ours(batch_tokens, "bfloat16")}
    if missing() is None:
        ways[THEIR_DEFAULT] = _theirs()
    lines: dict[str, list[dict[str, Any]]] = {name: [] for name in ways}
    vectors: dict[str, np.ndarray] = {}
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "texts.json").write_text(json.dumps(texts), "utf-8")
        for turn, name in product(range(rounds), ways):
            out = folder / f"{turn}-{name}"
            out.mkdir()
            lines[name] += run_contestant(ways[name], folder, common, out)
            vectors[name] = np.load(out / "vectors.npy", allow_pickle=False)
    seconds = {name: _median(lines[name]) for name in (OURS, BFLOAT16)}
    if THEIR_DEFAULT in lines:
        by_batch = {
            batch: _median([line for line in lines[THEIR_DEFAULT] if line["batch_size"] == batch])
            for batch in BATCH_SIZES
        }
        seconds[THEIR_DEFAULT] = by_batch[DEFAULT_BATCH]
        seconds[THEIR_BEST] = min(by_batch.values(), key=lambda one: one["cpu_seconds"])
    return {
        "ratios": {
            name: cost["cpu_seconds"] / seconds[OURS]["cpu_seconds"] for name, cost in seconds.items() if name != OURS
        },
        "texts_per_cpu_second": {name: len(texts) / cost["cpu_seconds"] for name, cost in seconds.items()},
        "texts_per_second": {name: len(texts) / cost["wall_seconds"] for name, cost in seconds.items()},
        "greatest_difference": {
            name: float(np.abs(found - vectors[OURS]).max()) for name, found in vectors.items() if name != OURS
        },
        "settings": {
            "texts": len(texts),
            "mean_characters": statistics.mean(map(len, texts)),
            "max_length": longest,
            "batch_tokens": batch_tokens,
        },
        "runs": lines,
    }


def _median(lines: list[dict[str, Any]]) -> dict[str, float]:
    return {clock: statistics.median(line[clock] for line in lines) for clock in ("cpu_seconds", "wall_seconds")}


def _ours(batch_tokens: int, precision: Precision) -> Contestant:
    settings = {"model": MODEL, "batch_tokens": batch_tokens, "precision": precision}
    return Contestant((sys.executable, "-m", "bench.speed.encode_ours"), settings)


def _theirs() -> Contestant:
    settings = {
        "model": str(ModelFiles.find(MODEL, None).folder),
        "width": WIDTH,
        "batch_sizes": BATCH_SIZES,
    }
    return Contestant((str(PEERS_PYTHON), str(THEIRS / "sentence_transformers_encode.py")), settings)


def encode_again(items: pl.DataFrame, threads: int) -> dict[str, Any]:
    """Encode items, encode them again, and again with `CHANGED` titles changed; return each result."""
    place = pl.int_range(pl.len())  # [n]
    another = pl.format("Quite another film {}", place)
    changed = items.with_columns(pl.when(place < CHANGED).then(another).otherwise("title").alias("title"))
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        items.write_parquet(folder / "items.parquet")
        changed.write_parquet(folder / "changed.parquet")
        environment = {**os.environ, "HIERREC_CACHE": str(folder / "cache"), "OMP_NUM_THREADS": str(threads)}

        def encode(name: str) -> dict[str, Any]:
            command = [
                sys.executable,
                "-m",
                "bench.speed.encode_again",
                str(folder / name),
                str(folder / "store"),
            ]
            done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, check=True)
            return json.loads(done.stdout)

        return {
            "first": encode("items.parquet"),
            "nothing_changed": encode("items.parquet"),
            f"{CHANGED}_changed": encode("changed.parquet"),
        }


@click.command()
@artifacts_option
@options
@click.option(
    "--abstracts",
    type=click.Path(path_type=Path, exists=True),
    help="JSON file of long texts: {id: text}; optional.",
)
def main(artifacts: Path, rounds: int, threads: int, quick: bool, out: Path | None, abstracts: Path | None) -> None:
    """Measure texts a second, against sentence-transformers, and encoding again."""
    result = run(
        "encoding",
        lambda folder: compare(folder, abstracts, rounds, threads),
        artifacts,
        threads,
        "cpu",
        quick,
        out,
    )
    for kind, measured in result["texts"].items():
        for name, ratio in measured["ratios"].items():
            click.echo(f"{kind}: {ratio:.2f} times as fast as {name}")
        for name, rate in measured["texts_per_cpu_second"].items():
            click.echo(f"{kind}: {name} {rate:.0f} texts a CPU second")
        for name, difference in measured["greatest_difference"].items():
            click.echo(f"{kind}: vectors of {name} differ by {difference:.1e} at most")
    for name, cost in result["again"].items():
        click.echo(f"{name}: {cost['encoded']} encoded, {cost['wall_seconds']:.2f} s")
    for name, reason in result["skipped"].items():
        click.echo(f"{name}: skipped, {reason}")


if __name__ == "__main__":
    main()
