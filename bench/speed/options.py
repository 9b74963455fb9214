"""Options of every measurement of speed."""

from collections.abc import Callable
from pathlib import Path

import click

from bench.peers.sample import ROOT

artifacts_option = click.option(
    "--artifacts",
    type=click.Path(path_type=Path),
    default=ROOT / "artifacts",
    help="Artifacts of `dvc repro`.",
)


def options(function: Callable[..., None]) -> Callable[..., None]:
    """Add the options to a command."""
    path = click.Path(path_type=Path)
    for option in (
        click.option("--rounds", type=click.IntRange(1), default=3, help="Rounds of timing; contestants alternate."),
        click.option("--threads", type=click.IntRange(1), default=1, help="Threads of each contestant."),
        click.option("--quick", is_flag=True, help="Smoke test on the embedded sample, in seconds."),
        click.option("--out", type=path, help="JSON file; default: in bench/results/, with --quick no file."),
    ):
        function = option(function)
    return function
