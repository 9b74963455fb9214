"""Options that every measurement of speed has."""

from collections.abc import Callable
from pathlib import Path

import click

from bench.peers.sample import ROOT

artifacts_option = click.option(
    "--artifacts", type=click.Path(path_type=Path), default=ROOT / "artifacts", help="Of `dvc repro`."
)


def options(function: Callable[..., None]) -> Callable[..., None]:
    """Add them to a command."""
    path = click.Path(path_type=Path)
    for option in (
        click.option("--rounds", type=click.IntRange(1), default=3, help="Of timing, in turns."),
        click.option("--threads", type=click.IntRange(1), default=1, help="Of each contestant."),
        click.option("--quick", is_flag=True, help="The embedded sample, in seconds: does it run at all?"),
        click.option("--out", type=path, help="JSON; default: bench/results/, with --quick nowhere."),
    ):
        function = option(function)
    return function
