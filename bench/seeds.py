"""`python -m bench.seeds RUN…`: what chance does to a result: runs that differ in their seed, side by side.

A run is the folder `artifacts` of a `dvc repro`, e.g. of a clone with `train.seed: 2`. Test metrics of both variants
and what retrieval gains, of each run, with mean and standard deviation (of the sample); in bench/results/NAME.json.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from hierrec.files import read_json, write_json
from hierrec.variants import VARIANTS

from bench.over_seeds import over_seeds
from bench.peers.command import RESULTS

GAIN = "rag over hierarchical"


def collect(runs: Sequence[Path]) -> dict[str, Any]:
    """Read what runs left.

    Args:
        runs: folders `artifacts`, each of another seed.

    Returns:
        `runs`: by seed, the test metrics of each variant, the relative gain and the largest p of it; `over_seeds`:
        mean and standard deviation of each.

    Raises:
        click.ClickException: two runs have one seed, or differ in another param of their training.
    """
    figures: dict[str, dict[str, dict[str, float]]] = {}
    settings: list[dict[str, Any]] = []
    for run in runs:
        train = read_json(run / "models" / "hierarchical" / "config.json")["train"]
        seed = str(train.pop("seed"))
        settings.append(train)
        if seed in figures or train != settings[0]:
            raise click.ClickException(f"{run}: seed {seed} is there already, or other params differ too")
        figures[seed] = _figures(run / "metrics")
    return {"runs": figures, "over_seeds": over_seeds(list(figures.values()))}


def _figures(metrics: Path) -> dict[str, dict[str, float]]:
    test = {variant: read_json(metrics / f"{variant}.json")["test"] for variant in VARIANTS}
    compared = read_json(metrics / "comparison.json")["test"]
    gain = {metric: of["relative"] for metric, of in compared.items()}
    return {**test, GAIN: gain | {"p at most": max(of["p"] for of in compared.values())}}


@click.command(help=(__doc__ or "").partition("\n")[0])
@click.argument("runs", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--name", default="seeds", help="Of the result.")
def main(runs: tuple[Path, ...], name: str) -> None:
    """Collect, write, and print the means."""
    if len(runs) < 2:
        raise click.ClickException("one run has no deviation: name two or more")
    result = collect(runs)
    write_json(RESULTS / f"{name}.json", result)
    for part, metrics in result["over_seeds"].items():
        for metric, figure in metrics.items():
            click.echo(f"{part:24} {metric:10} {figure['mean']:.4f} ± {figure['sd']:.4f}")


if __name__ == "__main__":
    main()
