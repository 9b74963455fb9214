"""Shared by the commands: options, input artifacts, output file."""

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
    """Add the options of every comparison."""
    path = click.Path(path_type=Path)
    for option in (
        click.option("--artifacts", type=path, default=ROOT / "artifacts", help="Artifacts of `dvc repro`."),
        click.option("--rounds", type=click.IntRange(1), default=3, help="Rounds of timing; contestants alternate."),
        click.option("--threads", type=click.IntRange(1), default=1, help="Threads of each contestant."),
        click.option("--device", default="cpu", help="Device of the peers: cpu, cuda."),
        click.option("--quick", is_flag=True, help="Smoke test on the embedded sample, in seconds."),
        click.option("--out", type=path, help="JSON file; default: in bench/results/, with --quick no file."),
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
        compare: function from the artifacts folder to the result.
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
