"""`python -m bench.speed.startup`: time commands that have no work to do.

In a workspace in which the pipeline has run on the embedded sample, compares `dvc repro` with `dvc status`, and
`hierrec --help` with an empty Python program. `--workspace .demo` uses the workspace of `make demo`.
"""

import statistics
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click

from bench.peers.command import run
from bench.scale.process import children_cpu
from bench.speed.options import options
from stages.workspace import SAMPLE, environment, make_workspace
from stages.workspace import run as run_in

STATUS, REPRO, HELP, PYTHON = "dvc status", "dvc repro", "hierrec --help", "python -c pass"
COMMANDS = {
    STATUS: ("dvc", "status"),
    REPRO: ("dvc", "repro"),
    HELP: ("hierrec", "--help"),
    PYTHON: (sys.executable, "-c", "pass"),
}
RATIOS = ((REPRO, STATUS), (HELP, PYTHON))
SHORT = {"train.epochs": 2, "train.validate_every": 1, "fusion.steps": 1}
"""Params of a short pipeline run; the quality of its models does not matter here."""


def compare(workspace: Path | None, rounds: int) -> dict[str, Any]:
    """Time each command `rounds` times, alternating, in an up-to-date workspace; None: make one.

    Returns:
        `ratios`: CPU time of a command over that of its baseline command; `seconds`: medians, CPU and wall.
    """
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in COMMANDS}
    with TemporaryDirectory() as temporary:
        folder = workspace or Path(temporary) / "workspace"
        if workspace is None:
            make_workspace(folder, {**SAMPLE, **SHORT})
            run_in(folder, "dvc", "init", "--no-scm", "--quiet")
            run_in(folder, "dvc", "repro", "--quiet")
        for _ in range(rounds):
            for name, command in COMMANDS.items():
                runs[name].append(_cost(folder, command))
    seconds = {
        name: {clock: statistics.median(one[clock] for one in costs) for clock in ("cpu", "wall")}
        for name, costs in runs.items()
    }
    return {
        "data": "the embedded sample",
        "clock": "cpu",
        "ratios": {f"{one} / {other}": seconds[one]["cpu"] / seconds[other]["cpu"] for one, other in RATIOS},
        "seconds": seconds,
        "runs": runs,
        "settings": {"rounds": rounds},
    }


def _cost(folder: Path, command: tuple[str, ...]) -> dict[str, float]:
    """Run a command; return its wall seconds, and its CPU seconds with child processes."""
    cpu, wall = children_cpu(), time.perf_counter()
    subprocess.run(command, cwd=folder, env=environment(folder), stdout=subprocess.DEVNULL, check=True)
    return {"cpu": children_cpu() - cpu, "wall": time.perf_counter() - wall}


@click.command()
@options
@click.option(
    "--workspace",
    type=click.Path(path_type=Path, exists=True),
    help="Folder after a run; default: a new one.",
)
def main(rounds: int, threads: int, quick: bool, out: Path | None, workspace: Path | None) -> None:
    """Time start-up, and commands that have no work to do."""
    result = run("startup", lambda _: compare(workspace, rounds), Path(), threads, "cpu", quick, out)
    for name, ratio in result["ratios"].items():
        click.echo(f"{name}: {ratio:.2f}")
    for name, cost in result["seconds"].items():
        click.echo(f"{name}: {cost['wall']:.2f} s, CPU {cost['cpu']:.2f} s")


if __name__ == "__main__":
    main()
