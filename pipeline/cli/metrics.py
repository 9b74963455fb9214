"""Commands that show a run: `hierrec data`, `hierrec metrics` and `hierrec report`."""

import json
import subprocess
from pathlib import Path
from typing import Any

import click

from ..core import VARIANTS
from ..core.errors import DataError, quote
from ..core.files import atomic_path, details_of, read_details
from ..report.previous import FILES, Previous, changes, values_of, with_previous
from ..serving.artifacts import read_counts, require
from .options import FilePath, artifacts_option, check_out, force_option
from .show import show_table

DIFF = "Compare with a commit: change of each metric and param."
PREVIOUS = "Commit of the previous run.  [default: the last one whose metrics differ]"


@click.command()
@artifacts_option
def data(artifacts: Path) -> None:
    """Show the size, density, lengths, texts, ties and times of the data, and warnings, as `ingest` does."""
    from ..ingest.dataset import Dataset
    from ..ingest.look import look

    folder, metrics = artifacts / "data", artifacts / "metrics"
    require(folder / "manifest.json")
    counts, cut = read_counts(metrics) if metrics.exists() else ({}, {})  # an extended folder has no metrics
    removed = {name: count for name, count in counts.items() if name.startswith("removed_")}
    click.echo("\n".join(look(Dataset.read(folder, removed, cut))))


@click.command()
@artifacts_option
@click.option("--diff", "revision", metavar="REV", help=DIFF)
def metrics(artifacts: Path, revision: str | None) -> None:
    """Show a table of the metrics of baselines and both variants, then the data and the commit of the run.

    With --diff: test metrics of the variants with 95% intervals, their change since a commit, and the changed params.
    """
    folder = artifacts / "metrics"
    require(*(folder / f"{name}.json" for name in (*VARIANTS, "data")))
    _warn_of_outdated(artifacts)
    if revision is not None:
        previous = _previous_run(folder, revision)
        head = ["model", "test metric", "now", "95% interval", revision, "change"]
        rows = [[cell if cell is not None else "" for cell in (*one, one.difference)] for one in previous.changes]
        show_table(head, rows, text=("model", "test metric"))
        click.echo("params: " + ("\n        ".join(previous.params) or "none has changed"))
        click.echo(f"run: {_origin(folder)}; compared with {previous.name}")
        return
    splits, again = {"validation": "validation", "test": "test"}, {"test": "test, fitted again"}
    variants = {name: read_details(folder / f"{name}.json") for name in VARIANTS}
    models = [
        *((name, "baselines", one, splits) for name, one in _by_name(folder / "baselines.json").items()),
        *((name, name, one, splits) for name, one in variants.items()),
        *((name, "refit", one, again) for name, one in _by_name(folder / "refit.json").items()),
    ]
    names: list[str] = []
    rows = []
    for name, stage, content, labels in models:
        for split, label in labels.items():
            values = values_of(content, split)
            names = names or list(values)
            if not values or list(values) != names:
                what = f"the metrics of {name} are incomplete: {label}"
                raise DataError(what, remedy=f"run `dvc repro evaluate_{stage}`")
            rows.append([name, label, *values.values()])
    counts, _ = read_counts(folder)
    show_table(["model", "split", *names], rows, text=("model", "split"))
    ranked = [variants[VARIANTS[0]].get(key) for key in ("validation_users", "users")]
    if all(isinstance(count, int) for count in ranked):  # older metrics lack the first
        click.echo("users: {:,} in validation (the fusion learns from the others), {:,} in test".format(*ranked))
    shown = ", ".join(f"{count:,} {name}" for name, count in sorted(counts.items()))
    manifest = _read(artifacts / "data" / "manifest.json")  # {} in a clone without the data
    name = manifest.get("dataset") if isinstance(manifest, dict) else None
    click.echo(f"data: {f'{name}: ' if isinstance(name, str) and name.isprintable() else ''}{shown}")
    click.echo(f"run: {_origin(folder)}")


@click.command()
@click.option("--previous", "revision", metavar="REV", help=PREVIOUS)
@click.option("--out", type=FilePath(), required=True, help="HTML file.")
@force_option
@artifacts_option
def report(revision: str | None, out: Path, force: bool, artifacts: Path) -> None:
    """Write the report of this run with the metrics of a previous run beside its own.

    `dvc repro` writes the report of this run alone, artifacts/report.html.
    """
    page = artifacts / "report.html"
    require(page)
    _warn_of_outdated(artifacts)
    previous = _previous_run(artifacts / "metrics", revision)
    check_out(out, False, force, keep=page)
    with atomic_path(out) as temporary:
        temporary.write_text(with_previous(page.read_text("utf-8"), previous), "utf-8")
    click.echo(f"{out}: this run beside {previous.name}")


def _warn_of_outdated(artifacts: Path) -> None:
    """Warn if, by dvc.lock, a stage has not run since an artifact that it reads changed, or params have changed."""
    from ruamel.yaml import YAML, YAMLError

    yaml, folder = YAML(typ="safe"), artifacts.resolve().parent
    try:
        stages = yaml.load(folder / "dvc.lock")["stages"]
        made = {out["path"]: out["md5"] for stage in stages.values() for out in stage.get("outs", [])}
        read = [(name, dep["path"], dep["md5"]) for name, stage in stages.items() for dep in stage.get("deps", [])]
        old = sorted({name for name, path, md5 in read if made.get(path, md5) != md5})
        params = folder / "params.yaml"
        now = yaml.load(params) if params.exists() else {}
        run = [entry for stage in stages.values() for entry in stage.get("params", {}).get("params.yaml", {}).items()]
        sections = sorted({name for name, section in run if now.get(name, section) != section})
    except (OSError, YAMLError, KeyError, TypeError, AttributeError):
        return  # no run of DVC
    if old:
        what = f"warning: not run since an artifact that it reads changed: {', '.join(old)}"
        click.echo(f"{what}: these results are old: run `dvc repro`", err=True)
    if sections:
        what = f"warning: params.yaml has changed since the run (section {', '.join(sections)})"
        click.echo(f"{what}: run `dvc repro`, or restore it", err=True)


def _previous_run(folder: Path, revision: str | None) -> Previous:
    """Compare the metrics in a folder with those of a commit; None: the last one whose metrics differ."""
    if _git(folder, "rev-parse", "HEAD") is None:
        what = "not under git, so there are no commits"
        raise DataError(what, str(folder), "put the run under git: `git init`, and commit it")
    revision = revision or _last_that_differs(folder)
    commit = _git(folder, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}")
    if commit is None:
        raise DataError(f"there is no commit {quote(revision)}", str(folder), "`git log` shows the commits")
    then = [_json(_git(folder, "show", f"{commit}:./{name}.json")) for name in FILES]
    found = changes([_read(folder / f"{name}.json") for name in FILES], then)
    if all(one.then is None for one in found):
        raise DataError(f"{revision} has no metrics", str(folder), "name a commit of a run: `git log -- artifacts`")
    name = _git(folder, "log", "-1", "--format=%h of %cs", commit) or commit
    params = _changed_params(folder, commit)
    lock, counts = folder / "../../dvc.lock", _json(_git(folder, "show", f"{commit}:./data.json"))
    before = _targets(_git(folder, "show", f"{commit}:./../../dvc.lock"))
    after = _targets(lock.read_text("utf-8") if lock.is_file() else None)
    other = before != after if before and after else any(line.startswith("ingest.") for line in params)
    if other or (counts and counts != _read(folder / "data.json")):
        click.echo(f"warning: other data than in {name}, so other targets", err=True)
    return Previous(name, found, params)


def _targets(lock: str | None) -> dict[str, str]:
    """Return the checksums of the tables of interactions and split, by path, that the stages of a dvc.lock read."""
    from ruamel.yaml import YAML, YAMLError

    try:
        stages = YAML(typ="safe").load(lock or "")["stages"].values()
        read = {dep["path"]: dep["md5"] for stage in stages for dep in stage.get("deps", [])}
    except (YAMLError, KeyError, TypeError, AttributeError):
        return {}
    return {path: md5 for path, md5 in read.items() if Path(path).name in ("interactions.parquet", "split.parquet")}


def _last_that_differs(folder: Path) -> str:
    """Return the last commit whose metrics differ from the metrics in the folder."""
    files = [f"{name}.json" for name in FILES]
    commits = (_git(folder, "log", "-2", "--format=%H", "--", *files) or "").split()
    others = commits if _git(folder, "status", "--porcelain", "--", *files) else commits[1:]
    if not others:
        raise DataError("every commit has these metrics", str(folder), "commit this run, and run another one")
    return others[0]


def _read(path: Path) -> Any:
    """Return the content of a file, or {}: an earlier version may not have written it, a clone may lack it."""
    return read_details(path) if path.exists() else {}


def _json(text: str | None) -> Any:
    try:
        return details_of(json.loads(text or "{}"))
    except ValueError:
        return {}


def _changed_params(folder: Path, commit: str) -> list[str]:
    """Return lines `key: old → new` of the params that differ from a commit's, as `dvc params diff` finds them."""
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        with Repo(str(folder)) as repo:
            files = repo.params.diff(commit).get("diff", {})
    except DvcException as error:
        raise DataError(f"DVC cannot compare the params ({error})", str(folder), "run `dvc params diff`") from None
    return [
        f"{key}: {json.dumps(values['old'])} → {json.dumps(values['new'])}"
        for _, changed in sorted(files.items())
        for key, values in sorted(changed.items())
    ]


def _by_name(path: Path) -> dict[str, Any]:
    """Return the metrics of several models by name."""
    content = _read(path)
    if not isinstance(content, dict) or not all(map(str.isprintable, content)):
        raise DataError("holds no metrics by model", str(path), f"run `dvc repro evaluate_{path.stem}`")
    return content


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
