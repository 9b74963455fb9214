"""`hierrec metrics`."""

import json
import subprocess
from pathlib import Path
from typing import Any

import click

from ..core import VARIANTS
from ..core.errors import DataError, quote
from ..core.files import details_of, read_details
from .options import artifacts_option
from .show import show_table


@click.command()
@artifacts_option
@click.option(
    "--diff", "revision", metavar="REV", help="Compare with a commit: change of each metric and param."
)
def metrics(artifacts: Path, revision: str | None) -> None:
    """Show a table of the metrics of baselines and both variants, then the data and the commit of the run.

    With --diff: test metrics of the variants with 95% intervals, their change since a commit, and the changed params.
    """
    from ..serving.artifacts import read_counts, require

    folder = artifacts / "metrics"
    require(*(folder / f"{name}.json" for name in (*VARIANTS, "data")))
    if revision is not None:
        _show_change(folder, revision)
        return
    models = [(variant, variant, read_details(folder / f"{variant}.json")) for variant in VARIANTS]
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
    shown = ", ".join(f"{count:,} {name}" for name, count in sorted(counts.items()))
    click.echo(f"data: {_data_set(artifacts / 'data' / 'manifest.json')}{shown}")
    click.echo(f"run: {_origin(folder)}")


def _show_change(folder: Path, revision: str) -> None:
    """Print the test metrics of the variants beside those of a commit, then the changed params."""
    commit, then = _git(folder, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}"), []
    if commit is None:
        under_git = _git(folder, "rev-parse", "HEAD") is not None
        what = (
            f"there is no commit {quote(revision)}" if under_git else "not under git, so there are no commits"
        )
        remedy = "`git log` shows the commits" if under_git else "compare in a clone (`git init` makes one)"
        raise DataError(what, str(folder), remedy)
    for name in (*VARIANTS, "refit"):
        text = _git(folder, "show", f"{commit}:./{name}.json")
        try:
            content = json.loads(text or "{}")
        except ValueError:
            content = {}
        then.append(details_of(content))
    paths = [folder / f"{name}.json" for name in (*VARIANTS, "refit")]
    now = _models(*(read_details(path) if path.exists() else {} for path in paths))
    if lost := [variant for variant in VARIANTS if variant not in now]:
        raise DataError(
            f"the metrics of {lost[0]} lack those of test", remedy=f"run `dvc repro evaluate_{lost[0]}`"
        )
    before = _models(*then)
    if not before:
        raise DataError(
            f"{revision} has no metrics", str(folder), "name a commit of a run: `git log -- artifacts`"
        )
    rows = []
    for model, values in now.items():
        for metric, (value, interval) in values.items():
            old, _ = before.get(model, {}).get(metric, (None, ""))
            change = "" if old is None else f"{value - old:+.4f}"
            rows.append([model, metric, value, interval, "" if old is None else old, change])
    head = ["model", "test metric", "now", "95% interval", revision, "change"]
    show_table(head, rows, text=("model", "test metric"))
    changed = _changed_params(folder, commit)
    click.echo("params: " + ("\n        ".join(changed) if changed else "none has changed"))
    click.echo(
        f"run: {_origin(folder)}; compared with {_git(folder, 'log', '-1', '--format=%h of %cs', commit)}"
    )


def _models(hierarchical: Any, rag: Any, refit: Any) -> dict[str, dict[str, tuple[float, str]]]:
    """Return the test metrics of each model with their intervals ("" where none is known); no model without metrics."""
    again = refit if isinstance(refit, dict) else {}
    contents = {"hierarchical": hierarchical, "rag": rag}
    contents |= {f"{variant}, fitted again": again[variant] for variant in VARIANTS if variant in again}
    return {
        model: {name: (value, _interval(content, name)) for name, value in values.items()}
        for model, content in contents.items()
        if (values := _values(content, "test"))
    }


def _interval(metrics: dict[str, Any], name: str) -> str:
    try:
        found = metrics["intervals"]["test"][name]
        return f"{found['low']:.4f} to {found['high']:.4f}"
    except (KeyError, TypeError, ValueError):
        return ""


def _changed_params(folder: Path, commit: str) -> list[str]:
    """Return lines `key: old → new` of the params that differ from a commit's, as `dvc params diff` finds them."""
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        with Repo(str(folder)) as repo:
            files = repo.params.diff(commit).get("diff", {})
    except DvcException as error:
        raise DataError(
            f"DVC cannot compare the params ({error})", str(folder), "run `dvc params diff`"
        ) from None
    return [
        f"{key}: {json.dumps(values['old'])} → {json.dumps(values['new'])}"
        for _, changed in sorted(files.items())
        for key, values in sorted(changed.items())
    ]


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


def _data_set(manifest: Path) -> str:
    """Return the name of the data set, to stand before its counts; nothing in a clone without the data."""
    content = read_details(manifest) if manifest.exists() else {}
    name = content.get("dataset") if isinstance(content, dict) else None
    return f"{name}: " if isinstance(name, str) and name.isprintable() else ""


def _git(folder: Path, *arguments: str) -> str | None:
    """Return what git prints in a folder; None if it fails, or is not installed."""
    try:
        done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


def _origin(folder: Path) -> str:
    """Return the commit of the metrics in a folder, or say that they are not committed."""
    commit = _git(folder, "log", "-1", "--format=%h of %cs", "--", ".")
    changed = _git(folder, "status", "--porcelain", "--ignored", "--", ".")
    if commit is None or changed is None:
        return "not under git"
    return f"committed in {commit}" if commit and not changed else "of this folder, not committed"
