"""`python -m bench.peers.training`: validation NDCG@10 over training time, against RecTools' and RecBole's SASRec.

The contestants train for the same time, one after the other, each in its own process, and write rankings for the same
validation users. The clock stops during ranking. Our code computes all metrics.
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
    """Train all contestants.

    Args:
        artifacts: folder of data and store.
        params: section `train` of ours, which also sets the shape of all.
        seconds: training time of each contestant in each round.
        interval: seconds between two snapshots; ours takes them after whole epochs.
        users: number of validation users to rank for.
        rounds: runs of each contestant, alternating, each with another seed.
        threads, device: of all contestants; ours runs on the CPU.

    Returns:
        `ratios`, our interactions a second over each peer's; `interactions_per_second` and `ndcg@10`, medians of the
        runs; `curves`, of every run; `skipped`, the reason by skipped contestant.
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
                skipped[name] = str(error)  # a failed peer does not discard the other results
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
        "ndcg@10": {name: statistics.median(run[-1]["ndcg@10"] for run in runs) for name, runs in curves.items()},
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
@click.option("--seconds", type=float, default=300, help="Training time per contestant and round.")
@click.option("--interval", type=float, default=30, help="Seconds between two snapshots.")
@click.option("--users", type=click.IntRange(1), default=2000, help="Number of validation users to rank for.")
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
    """Measure quality over training time, against RecTools and RecBole."""
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
