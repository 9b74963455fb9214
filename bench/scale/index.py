"""`python -m bench.scale.index --items 10000000 --kind ivf_pq`: build an index of a catalogue larger than memory.

The vectors are generated as in the growth bench, but narrower, and read from a file in batches. Each kind has its own
process.
"""

import json
import tempfile
from pathlib import Path
from typing import Any

import click
from hierrec.core.files import read_json, write_json

from bench.growth.catalogue import write_vectors
from bench.growth.settings import load_settings
from bench.machine import describe_machine
from bench.scale.process import measure

RESULT = Path(__file__).parents[1] / "results" / "index_scale.json"
KINDS = ("flat", "ivf", "hnsw", "ivf_pq")


@click.command()
@click.option("--items", type=int, default=1_000_000, show_default=True)
@click.option("--kind", "kinds", type=click.Choice(KINDS), multiple=True, default=("ivf_pq",), show_default=True)
@click.option("--dimension", type=int, default=64, show_default=True, help="Width of the vectors.")
@click.option("--recall", type=float, default=0.95, show_default=True, help="Recall@20 that kinds are tuned to.")
@click.option("--queries", type=int, default=512, show_default=True)
@click.option("--folder", type=click.Path(path_type=Path), help="For vectors and index (a few GB), removed at the end.")
@click.option("--out", type=click.Path(path_type=Path), default=RESULT, show_default=False, help="Result file.")
def main(
    items: int,
    kinds: tuple[str, ...],
    dimension: int,
    recall: float,
    queries: int,
    folder: Path | None,
    out: Path,
) -> None:
    """Build and search an index of each kind; keep other results in the file."""
    results: dict[str, Any] = read_json(out) if out.is_file() else {"runs": {}}
    settings = load_settings(quick=False)
    with tempfile.TemporaryDirectory(prefix="scale-", dir=folder) as temporary:
        vectors = Path(temporary) / "vectors.f32"
        write_vectors(vectors, items, dimension, settings.seed, settings.catalogue)
        for kind in kinds:
            asked = {
                "items": items,
                "dimension": dimension,
                "kind": kind,
                "recall": recall,
                "queries": queries,
            }
            found = measure("bench.growth.measure", ["index", json.dumps({"vectors": str(vectors), **asked})])
            results["runs"][f"{kind} {items}"] = {
                "command": f"python -m bench.scale.index --items {items} --kind {kind} --dimension {dimension}",
                **asked,
                **found,
                "machine": describe_machine("cpu"),
            }
            write_json(out, results)
            click.echo(f"{kind} {items:,}: {json.dumps(found)}")


if __name__ == "__main__":
    main()
