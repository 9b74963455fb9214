"""`python -m bench.peers.evaluation`: time full-catalogue evaluation, against RecTools and a plain loop.

Each contestant runs in its own process. The time starts with a loaded model and covers reading histories, scoring the
catalogue, excluding the history, ranking the test targets, and Recall and NDCG at 10 and 20.
"""

import statistics
import sys
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
from hierrec.core.sequences import NO_TARGET
from hierrec.model.checkpoint import load_model
from hierrec.model.inputs import load_inputs
from hierrec.params import load_params

from bench.peers.command import options, run
from bench.peers.contestants import Contestant, missing, rectools_evaluation, run_contestant
from bench.peers.measure import clock_of
from bench.peers.sample import ROOT
from bench.peers.split import export_tests

OURS, FLOAT32, LOOP, RECTOOLS = "ours", "ours, float32", "plain loop", "rectools"
MEMORY_SHARES = (1, 2, 4)


def compare(artifacts: Path, rounds: int, threads: int, device: str, loop_users: int) -> dict[str, Any]:
    """Time all contestants.

    Args:
        artifacts: folder of the data, the store and the hierarchical model.
        rounds: runs of each contestant, alternating.
        threads, device: of all contestants; ours runs on the CPU.
        loop_users: number of users for the plain loop; every k-th is taken.

    Returns:
        `ratios`: time per user over ours; `milliseconds_per_user`, medians; `memory_mib`, our growth of memory by
        number of evaluated users.
    """
    inputs = load_inputs(artifacts / "data", artifacts / "item_embeddings")
    params = load_model(artifacts / "models" / "hierarchical", inputs.frozen, inputs.store_hash).params
    batch = load_params(ROOT / "params.yaml").evaluate.batch_users
    held_out = int((inputs.sequences.test != NO_TARGET).sum())
    ways = {
        OURS: _ours(artifacts, "batches", "float64", [held_out], batch),
        FLOAT32: _ours(artifacts, "batches", "float32", [held_out], batch),
        LOOP: _ours(artifacts, "loop", "float32", [min(loop_users, held_out)], batch),
    }
    reason = missing()
    if reason is None:
        ways[RECTOOLS] = rectools_evaluation(params)
    clock = f"{clock_of(device)}_seconds"
    common = {"threads": threads, "device": device, "seed": 1, "repeated": inputs.sequences.repeated}
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in ways}
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        export_tests(inputs.sequences, folder)

        def measure(way: Contestant, name: str) -> list[dict[str, float]]:
            (folder / name).mkdir()
            return run_contestant(way, folder, common, folder / name)

        for turn, name in product(range(rounds), ways):
            runs[name] += measure(ways[name], f"{turn}-{name}")
            click.echo(f"{name}: {runs[name][-1]}", err=True)
        counts = [max(1, held_out // 16) * share for share in MEMORY_SHARES]
        lines = measure(_ours(artifacts, "batches", "float64", counts, batch), "memory")
        memory = {str(line["users"]): line["memory_mib"] for line in lines}
    per_user = {
        name: 1000 * statistics.median(line[clock] / line["users"] for line in lines) for name, lines in runs.items()
    }
    return {
        "clock": clock,
        "ratios": {name: value / per_user[OURS] for name, value in per_user.items() if name != OURS},
        "ratios_float32": {name: value / per_user[FLOAT32] for name, value in per_user.items() if name != FLOAT32},
        "milliseconds_per_user": per_user,
        "memory_mib": memory,
        "runs": runs,
        "skipped": {} if reason is None else {RECTOOLS: reason},
        "settings": {"users": held_out, "history": params.history, "batch_users": batch},
    }


def _ours(artifacts: Path, way: str, dtype: str, users: list[int], batch: int) -> Contestant:
    settings = {
        "artifacts": str(artifacts.resolve()),
        "way": way,
        "dtype": dtype,
        "users": users,
        "batch_users": batch,
    }
    return Contestant((sys.executable, "-m", "bench.peers.evaluate_ours"), settings)


@click.command()
@options
@click.option("--loop-users", type=click.IntRange(1), default=600, help="Number of users for the plain loop.")
def main(
    artifacts: Path, rounds: int, threads: int, device: str, quick: bool, out: Path | None, loop_users: int
) -> None:
    """Time the evaluation of all users, against RecTools and a plain loop."""
    result = run(
        "evaluation",
        lambda folder: compare(folder, rounds, threads, device, loop_users),
        artifacts,
        threads,
        device,
        quick,
        out,
    )
    for name, value in result["milliseconds_per_user"].items():
        ratio = f", {result['ratios'][name]:.1f} times ours" if name in result["ratios"] else ""
        click.echo(f"{name}: {value:.2f} ms a user{ratio}")
    for name, reason in result["skipped"].items():
        click.echo(f"{name}: skipped, {reason}")
    growth = ", ".join(f"{users} users {mib:.0f} MiB" for users, mib in result["memory_mib"].items())
    click.echo(f"memory: {growth}")


if __name__ == "__main__":
    main()
