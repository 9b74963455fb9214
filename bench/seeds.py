"""`python -m bench.seeds RUN…`: compare runs that differ only in their seed.

A run is the folder `artifacts` of a `dvc repro`, e.g. of a clone with `train.seed: 2`. The result,
bench/results/NAME.json, has the test metrics of both variants for each run, as chosen and fitted again, the gain of
retrieval, and mean and sample standard deviation. Earlier results of other seeds in this file are kept, so runs may be
added one by one.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from hierrec.core import VARIANTS
from hierrec.core.errors import HierrecError
from hierrec.core.files import read_details, read_json, write_json

from bench.over_seeds import over_seeds
from bench.peers.command import RESULTS

GAIN = "rag over hierarchical"
AGAIN = ", fitted again"


def collect(runs: Sequence[Path], path: Path) -> dict[str, Any]:
    """Read the results of runs.

    Args:
        runs: folders `artifacts`, each with another seed.
        path: of the result; its runs with other seeds are kept.

    Returns:
        `train`, `fusion`: the params of both trainings without seed and sources; `sources`: by seed, those that the
        run's validation chose; `runs`: by seed, the test metrics of each variant, as chosen and fitted again, the
        relative gain and its largest p; `over_seeds`: mean and standard deviation of each.

    Raises:
        DataError: a folder is not a run's `artifacts`.
        click.ClickException: two runs have the same seed, or runs, earlier ones included, differ in another param of
            their trainings.
    """
    figures: dict[str, dict[str, dict[str, float]]] = {}
    earlier = {"runs": {}, "sources": {}, **(read_json(path) if path.is_file() else {})}
    sources = earlier["sources"]
    params = {name: earlier[name] for name in ("train", "fusion") if name in earlier}
    for run in runs:
        train = read_json(run / "models" / "hierarchical" / "config.json")["train"]
        fusion = read_json(run / "models" / "rag" / "config.json")["fusion"]
        seed = str(train.pop("seed"))
        if seed in figures:
            raise click.ClickException(f"{run}: seed {seed} is there already")
        sources[seed] = fusion.pop("sources")
        found = {"train": train, "fusion": fusion}
        if any(params[name] != found[name] for name in params):
            raise click.ClickException(f"{run}: other params than the seed differ, from the other runs or {path}'s")
        params = found
        figures[seed] = _figures(run / "metrics")
    figures = {**earlier["runs"], **figures}
    return {**params, "sources": sources, "runs": figures, "over_seeds": over_seeds(list(figures.values()))}


def _figures(metrics: Path) -> dict[str, dict[str, float]]:
    test = {variant: read_details(metrics / f"{variant}.json")["test"] for variant in VARIANTS}
    again = read_details(metrics / "refit.json") if (metrics / "refit.json").is_file() else {}
    test |= {f"{variant}{AGAIN}": again[variant]["test"] for variant in VARIANTS if variant in again}
    compared = read_details(metrics / "comparison.json")["test"]
    gain = {metric: of["relative"] for metric, of in compared.items() if "relative" in of}
    return {**test, GAIN: gain | {"p at most": max(of["p"] for of in compared.values())}}


@click.command(help=(__doc__ or "").partition("\n")[0])
@click.argument("runs", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--name", default="seeds", help="Name of the result.")
def main(runs: tuple[Path, ...], name: str) -> None:
    """Collect and write the results, and print the means."""
    path = RESULTS / f"{name}.json"
    try:
        result = collect(runs, path)
    except HierrecError as error:
        raise click.ClickException(str(error)) from None
    write_json(path, result)
    for part, metrics in result["over_seeds"].items():
        for metric, figure in metrics.items():
            deviation = f" ± {figure['sd']:.4f}" if "sd" in figure else ""
            click.echo(f"{part:24} {metric:10} {figure['mean']:.4f}{deviation}")


if __name__ == "__main__":
    main()
