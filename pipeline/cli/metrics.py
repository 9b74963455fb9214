"""`hierrec metrics`."""

import subprocess
from pathlib import Path

import click

from ..core import VARIANTS
from .options import artifacts_option
from .show import show_table


@click.command()
@artifacts_option
def metrics(artifacts: Path) -> None:
    """Show the metrics of both variants as a table, and of which data and commit they are."""
    from ..core.errors import DataError
    from ..core.files import read_json
    from ..serving.artifacts import require
    from .table import metrics_table

    paths = {variant: artifacts / "metrics" / f"{variant}.json" for variant in VARIANTS}
    data = artifacts / "metrics" / "data.json"
    require(*paths.values(), data)
    header, *rows = metrics_table({variant: read_json(path) for variant, path in paths.items()})
    counts = read_json(data)
    if not isinstance(counts, dict) or not all(map(_is_count, counts, counts.values())):
        raise DataError("holds no counts of the data", str(data), "run `dvc repro ingest`")
    show_table(header, rows, text=("variant", "split"))
    click.echo("data: " + ", ".join(f"{count:,} {name}" for name, count in sorted(counts.items())))
    click.echo(f"run: {_origin(artifacts / 'metrics')}")


def _is_count(name: str, count: object) -> bool:
    return name.isprintable() and isinstance(count, int) and not isinstance(count, bool) and count >= 0


def _origin(folder: Path) -> str:
    """Say which commit the metrics in a folder are of, or that they are not committed."""

    def git(*arguments: str) -> str:
        done = subprocess.run(
            ["git", *arguments, "--", "."], cwd=folder, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    try:
        commit, changed = git("log", "-1", "--format=%h of %cs"), git("status", "--porcelain", "--ignored")
    except (OSError, subprocess.CalledProcessError):
        return "not under git"
    return f"committed in {commit}" if commit and not changed else "of this folder, not committed"
