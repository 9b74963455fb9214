"""`hierrec metrics`."""

import subprocess
from pathlib import Path
from typing import Any

import click

from ..core import VARIANTS
from ..core.errors import DataError
from ..core.files import read_details
from .options import artifacts_option
from .show import show_table


@click.command()
@artifacts_option
def metrics(artifacts: Path) -> None:
    """Show a table of the metrics of baselines and both variants, then the data and the commit of the run."""
    from ..serving.artifacts import read_counts, require

    folder = artifacts / "metrics"
    paths = {variant: folder / f"{variant}.json" for variant in VARIANTS}
    require(*paths.values(), folder / "data.json")
    models = [(variant, variant, read_details(path)) for variant, path in paths.items()]
    counted = _by_name(folder / "baselines.json", "evaluate_baselines")
    baselines = [(name, "baselines", content) for name, content in counted.items()]
    names: list[str] = []
    rows = []
    for name, stage, content in [*baselines, *models]:
        for split in ("validation", "test"):
            values = _values(content, split)
            names = names or list(values)
            if not values or list(values) != names:
                what = f"the metrics of {name} lack those of {split}, or they differ from the others"
                raise DataError(what, remedy=f"run `dvc repro evaluate_{stage}`")
            rows.append([name, split, *values.values()])
    for name, content in _by_name(folder / "refit.json", "evaluate_refit").items():
        values = _values(content, "test")
        if list(values) != names:
            what = f"the metrics of {name}, fitted again, lack those of test, or they differ from the others"
            raise DataError(what, remedy="run `dvc repro evaluate_refit`")
        rows.append([name, "test, fitted again", *values.values()])
    counts, _ = read_counts(folder)
    show_table(["model", "split", *names], rows, text=("model", "split"))
    click.echo("data: " + ", ".join(f"{count:,} {name}" for name, count in sorted(counts.items())))
    click.echo(f"run: {_origin(folder)}")


def _by_name(path: Path, stage: str) -> dict[str, Any]:
    """Return the metrics of several models by name; none where an earlier version has left no such file."""
    content = read_details(path) if path.exists() else {}
    if not isinstance(content, dict) or not all(map(str.isprintable, content)):
        raise DataError("holds no metrics by model", str(path), f"run `dvc repro {stage}`")
    return content


def _values(metrics: Any, split: str) -> dict[str, float]:
    """Return the metrics of a split, sorted by name; none if one of them is not a number from 0 to 1."""
    found = metrics.get(split) if isinstance(metrics, dict) else None
    if not isinstance(found, dict):
        return {}
    for name, value in found.items():
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not (number and 0 <= value <= 1 and name.isprintable()):  # NaN fails too
            return {}
    return {name: float(value) for name, value in sorted(found.items())}


def _origin(folder: Path) -> str:
    """Return the commit of the metrics in a folder, or say that they are not committed."""

    def git(*arguments: str) -> str:
        command = ["git", *arguments, "--", "."]
        return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout.strip()

    try:
        commit, changed = git("log", "-1", "--format=%h of %cs"), git("status", "--porcelain", "--ignored")
    except (OSError, subprocess.CalledProcessError):
        return "not under git"
    return f"committed in {commit}" if commit and not changed else "of this folder, not committed"
