"""Measure all sizes and write `bench/results/growth.json`: `python -m bench.growth.run [--quick]`."""

import json
import tempfile
from pathlib import Path
from typing import Any

import click
from hierrec.core.files import read_json, write_json

from bench.growth.catalogue import write_vectors
from bench.growth.plot import plot
from bench.growth.settings import Settings, load_settings
from bench.machine import describe_machine
from bench.peers.command import RESULTS
from bench.scale.process import measure

SELECTIONS = {"items", "kinds", "hnsw_up_to", "train_up_to", "residual_widths"}
"""Settings that select the measurements, and do not change them."""


@click.command()
@click.option("--quick", is_flag=True, help="Smoke test on small catalogues, in seconds.")
@click.option("--items", type=int, multiple=True, help="Only these numbers of items; other results are kept.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder; default: bench/results/, with --quick no file.")
def main(quick: bool, items: tuple[int, ...], out: Path | None) -> None:
    """Run each measurement in its own process; write growth.json and growth.svg."""
    settings = load_settings(quick)
    how = settings.model_dump(mode="json", exclude=SELECTIONS)
    results: dict[str, Any] = {"items": {}, "settings": how}
    out = RESULTS if out is None and not quick else out
    if items and out is not None and (out / "growth.json").is_file():
        results = read_json(out / "growth.json")
        if results["settings"] != how:
            raise click.ClickException(f"{out / 'growth.json'}: measured with other settings; leave --items out")
    for count in items or settings.items:
        results["items"][str(count)] = measure_all(count, settings) | {"machine": describe_machine("cpu")}
        if out is not None:
            write_json(out / "growth.json", results)
    if out is None:
        click.echo(json.dumps(results, indent=2))
        return
    plot(results, out / "growth.svg")
    click.echo(f"written: {out / 'growth.json'}, {out / 'growth.svg'}")


def measure_all(count: int, settings: Settings) -> dict[str, Any]:
    """Return all measurements for one number of items."""
    measured: dict[str, Any] = {"encode": _measure("encode", items=count, count=min(settings.texts, count), seed=1)}
    with tempfile.TemporaryDirectory(prefix="growth-") as folder:
        path = Path(folder) / "vectors.f32"
        write_vectors(path, count, settings.dimension, settings.seed, settings.catalogue)
        measured["index"] = {
            kind: _measure(
                "index",
                vectors=str(path),
                items=count,
                dimension=settings.dimension,
                kind=kind,
                recall=settings.recall,
                queries=settings.queries,
            )
            for kind in settings.kinds
            if kind != "hnsw" or count <= settings.hnsw_up_to
        }
    if count <= settings.train_up_to:
        measured["train"] = {
            f"residual_{width}": _measure(
                "train",
                items=count,
                dimension=settings.dimension,
                residual_width=width,
                steps=settings.steps,
                seed=1,
            )
            for width in settings.residual_widths
        }
    return measured


def _measure(name: str, **arguments: Any) -> dict[str, Any]:
    part = arguments.get("kind", arguments.get("residual_width", ""))
    click.echo(f"{name} {arguments['items']:,} {part}", err=True)
    return measure("bench.growth.measure", [name, json.dumps(arguments)])


if __name__ == "__main__":
    main()
