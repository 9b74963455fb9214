"""Measure all sizes and write `bench/results/growth.json`: `python -m bench.growth.run [--quick]`."""

import json
import os
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click
from hierrec.files import read_json, write_json

from bench.growth.catalogue import write_vectors
from bench.growth.plot import plot
from bench.growth.settings import Settings, load_settings
from bench.printed import last_object

RESULTS = Path(__file__).parents[1] / "results"
LIBRARIES = ("faiss-cpu", "numpy", "torch", "transformers")


@click.command()
@click.option("--quick", is_flag=True, help="Small catalogues: seconds, and figures that mean nothing.")
@click.option(
    "--items", type=int, multiple=True, help="These numbers of items only; the others' results are kept."
)
@click.option(
    "--out", type=click.Path(path_type=Path), default=RESULTS, show_default=False, help="Results' folder."
)
def main(quick: bool, items: tuple[int, ...], out: Path) -> None:
    """Measure, one process for each measurement; write growth.json and growth.svg."""
    settings = load_settings(quick)
    path = out / "growth.json"
    results: dict[str, Any] = read_json(path) if items and path.is_file() else {"items": {}}
    for count in items or settings.items:
        results["items"][str(count)] = measure_all(count, settings) | {"machine": machine()}
        results["settings"] = settings.model_dump(mode="json", exclude={"items"})
        write_json(path, results)
    plot(results, out / "growth.svg")
    click.echo(f"written: {path}, {out / 'growth.svg'}")


def measure_all(count: int, settings: Settings) -> dict[str, Any]:
    """Return every measurement of one number of items."""
    measured: dict[str, Any] = {
        "encode": _measure("encode", items=count, count=min(settings.texts, count), seed=1)
    }
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
                "train", items=count, dimension=settings.dimension, residual_width=width, seed=1
            )
            for width in settings.residual_widths
        }
    return measured


def machine() -> dict[str, Any]:
    """Describe the machine, its load, and the versions that were measured."""
    info = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    models = [line.partition(":")[2].strip() for line in info if line.startswith("model name")]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "cpu": models[0] if models else "unknown",
        "cores": os.cpu_count(),
        "threads_used": os.environ.get("OMP_NUM_THREADS", "all"),
        "memory_gb": round(memory),
        "load_average_15_minutes": round(os.getloadavg()[2], 1),
        "date": datetime.now(UTC).date().isoformat(),
        "python": sys.version.split()[0],
        **{library: version(library) for library in LIBRARIES},
    }


def _measure(name: str, **arguments: Any) -> dict[str, Any]:
    click.echo(f"{name} {arguments['items']:,} {arguments.get('kind', arguments.get('residual_width', ''))}")
    command = [sys.executable, "-m", "bench.growth.measure", name, json.dumps(arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    result = last_object(done.stdout)
    return {
        key: float(f"{value:.4g}") if isinstance(value, float) else value for key, value in result.items()
    }


if __name__ == "__main__":
    main()
