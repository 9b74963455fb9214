"""`hierrec report`."""

from pathlib import Path

import click

from .options import FilePath, artifacts_option, force_option
from .replacing import replacing

PREVIOUS = "Commit of the previous run.  [default: the last one whose metrics differ]"


@click.command()
@click.option("--previous", "revision", metavar="REV", help=PREVIOUS)
@click.option("--out", type=FilePath(), required=True, help="HTML file.")
@force_option
@artifacts_option
def report(revision: str | None, out: Path, force: bool, artifacts: Path) -> None:
    """Write the report of this run with the metrics of a previous run beside its own.

    `dvc repro` writes the report of this run alone, artifacts/report.html.
    """
    from ..core.files import atomic_path
    from ..report.previous import with_previous
    from ..serving.artifacts import require
    from .metrics import previous_run

    page = artifacts / "report.html"
    require(page)
    previous = previous_run(artifacts / "metrics", revision)
    with replacing(out, False, force, keep=page), atomic_path(out) as temporary:
        temporary.write_text(with_previous(page.read_text("utf-8"), previous), "utf-8")
    click.echo(f"{out}: this run beside {previous.name}")
