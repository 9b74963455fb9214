"""`python -m bench.peers.training`: validation NDCG@10 over time of training, beside RecTools' and RecBole's SASRec.

Every contestant trains for the same time as a process of its own, one after the other, and leaves rankings of the same
validation users; the clock stands while rankings are made, and the metrics are ours for all.
"""

import statistics
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
import numpy as np
from hierrec.core.errors import ModelError
from hierrec.model.inputs import load_inputs
from hierrec.model.params import TrainParams
from hierrec.params import load_params

from bench.peers.command import options, run
from bench.peers.contestants import contestants, missing, run_contestant
from bench.peers.measure import clock_of
from bench.peers.sample import ROOT, quick_params
from bench.peers.split import export_split, metrics_of, validation_users

OURS = "ours"


def compare(
    artifacts: Path,
    params: TrainParams,
    seconds: float,
    interval: float,
    users: int,
    rounds: int,
    threads: int,
    device: str,
) -> dict[str, Any]:
    """Train everybody.

    Args:
        artifacts: folder of data and store.
        params: section `train`, ours and the shape of all.
        seconds: of training, for each, in each round.
        interval: seconds between two snapshots; ours come after whole epochs.
        users: number of validation users that are ranked for.
        rounds: runs of each, in turns, with other seeds.
        threads, device: of all; ours stays on the processor.

    Returns:
        `ratios`, our interactions a second over each peer's; `interactions_per_second` and `ndcg@10`, medians of the
        runs; `curves`, every run's; who was `skipped` and why.
    """
    inputs = load_inputs(artifacts / "data", artifacts / "item_embeddings")
    chosen = validation_users(inputs.sequences, users)
    targets = inputs.sequences.validation[chosen]
    everybody = contestants(params, artifacts / "data", artifacts / "item_embeddings")
    reason = missing()
    skipped = {name: reason for name in everybody if name != OURS and reason is not None}
    clock = f"{clock_of(device)}_seconds"
    common = {
        "seconds": seconds,
        "interval": interval,
        "clock": clock,
        "threads": threads,
        "device": device,
        "repeated": inputs.sequences.repeated,
    }
    curves: dict[str, list[list[dict[str, float]]]] = {}
    with TemporaryDirectory() as temporary:
        split = Path(temporary)
        export_split(inputs.sequences, chosen, split)
        for seed, (place, name) in product(range(1, rounds + 1), enumerate(everybody)):
            if name in skipped:
                continue
            out = split / f"{seed}-{place}"
            out.mkdir()
            try:
                lines = run_contestant(everybody[name], split, {**common, "seed": seed}, out)
            except ModelError as error:
                if name == OURS:
                    raise
                skipped[name] = str(error)  # one that fails does not void the time that the others took
                curves.pop(name, None)
                continue
            tops = [np.load(out / line.pop("top"), allow_pickle=False) for line in lines]
            curve = [{**line, **metrics_of(top, targets)} for line, top in zip(lines, tops, strict=True)]
            curves.setdefault(name, []).append(curve)
            click.echo(f"{name}, run {seed}: {curve[-1]}", err=True)
    rates = {
        name: statistics.median(run[-1]["interactions"] / run[-1][clock] for run in runs)
        for name, runs in curves.items()
    }
    return {
        "clock": clock,
        "ratios": {name: rates[OURS] / rate for name, rate in rates.items() if name != OURS},
        "interactions_per_second": rates,
        "ndcg@10": {
            name: statistics.median(run[-1]["ndcg@10"] for run in runs) for name, runs in curves.items()
        },
        "curves": curves,
        "skipped": skipped,
        "settings": {
            "seconds": seconds,
            "validation_users": len(chosen),
            **{name: dict(one.settings) for name, one in everybody.items() if name != OURS},
            OURS: params.model_dump(mode="json"),
        },
    }


@click.command()
@options
@click.option("--seconds", type=float, default=300, help="Of training, each contestant, each round.")
@click.option("--interval", type=float, default=30, help="Seconds between two snapshots.")
@click.option("--users", type=click.IntRange(1), default=2000, help="Validation users that are ranked for.")
def main(
    artifacts: Path,
    rounds: int,
    threads: int,
    device: str,
    quick: bool,
    out: Path | None,
    seconds: float,
    interval: float,
    users: int,
) -> None:
    """Quality over time of training, against RecTools and RecBole."""
    if quick:
        params, seconds, interval = quick_params().train, 2.0, 1.0
    else:
        params = load_params(ROOT / "params.yaml").train
    result = run(
        "training",
        lambda folder: compare(folder, params, seconds, interval, users, rounds, threads, device),
        artifacts,
        threads,
        device,
        quick,
        out,
    )
    for name, rate in result["interactions_per_second"].items():
        ratio = "" if name == OURS else f", ours is {result['ratios'][name]:.1f} times as fast"
        click.echo(f"{name}: {rate:,.0f} interactions a second{ratio}; NDCG@10 {result['ndcg@10'][name]:.4f}")
    for name, reason in result["skipped"].items():
        click.echo(f"{name}: skipped, {reason}")


if __name__ == "__main__":
    main()
