"""What the commands share: options, where artifacts come from, where the result goes."""

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
import torch
from hierrec.core.files import write_json

from bench.machine import describe_machine
from bench.peers.sample import ROOT, write_sample

RESULTS = ROOT / "bench" / "results"
SAMPLE, REAL = "the embedded sample, untrained models", "artifacts of `dvc repro`"


def options(function: Callable[..., None]) -> Callable[..., None]:
    """Add the options that every comparison has."""
    path = click.Path(path_type=Path)
    for option in (
        click.option("--artifacts", type=path, default=ROOT / "artifacts", help="Of `dvc repro`."),
        click.option(
            "--rounds", type=click.IntRange(1), default=3, help="Of timing, all contestants in turns."
        ),
        click.option("--threads", type=click.IntRange(1), default=1, help="Of each contestant."),
        click.option("--device", default="cpu", help="Of the peers: cpu, cuda."),
        click.option("--quick", is_flag=True, help="The embedded sample, in seconds: does it run at all?"),
        click.option("--out", type=path, help="JSON; default: bench/results/, with --quick nowhere."),
    ):
        function = option(function)
    return function


def run(
    name: str,
    compare: Callable[[Path], dict[str, Any]],
    artifacts: Path,
    threads: int,
    device: str,
    quick: bool,
    out: Path | None,
) -> dict[str, Any]:
    """Compare on real artifacts or on the sample; write the result with the machine's description.

    Args:
        name: of the comparison and of its file.
        compare: artifacts to result.
        artifacts, threads, device, quick, out: see `options`.
    """
    torch.set_num_threads(threads)
    machine = describe_machine(device)
    with TemporaryDirectory() as temporary:
        if quick:
            artifacts = Path(temporary)
            write_sample(artifacts)
        result = {"data": SAMPLE if quick else REAL, "machine": machine, **compare(artifacts)}
    if out is None and not quick:
        out = RESULTS / f"{name}.json"
    if out is not None:
        write_json(out, result)
    return result
