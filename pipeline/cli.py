"""The `hierrec` command."""

import json
import sys
from pathlib import Path
from typing import Any

import click

from . import __version__
from .errors import HierrecError

VARIANTS = ("hierarchical", "rag")
artifacts_option = click.option(
    "--artifacts",
    type=click.Path(path_type=Path),
    default=Path("artifacts"),
    show_default=True,
    help="What the stages wrote.",
)


class Group(click.Group):
    """A command group that shows a typed error as one message, without a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; exit with status 1 on a typed error."""
        try:
            return super().invoke(ctx)
        except HierrecError as error:
            click.echo(f"error: {error}", err=True)
            sys.exit(1)


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="hierrec")
def main() -> None:
    """Sequential recommendation with language models, without decoding.

    `dvc repro` builds the models; these commands use them.
    """


@main.command()
@artifacts_option
def metrics(artifacts: Path) -> None:
    """Show the metrics of both variants as a table."""
    from .evaluation.table import metrics_table
    from .files import read_json

    results = {variant: read_json(artifacts / "metrics" / f"{variant}.json") for variant in VARIANTS}
    _print_table(metrics_table(results))


@main.command()
@click.option("--user", required=True, help="Id of a user of the data set.")
@click.option("--variant", type=click.Choice(VARIANTS), default="rag", show_default=True)
@click.option("-k", "count", type=click.IntRange(1), default=10, show_default=True, help="How many items.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@artifacts_option
def recommend(user: str, variant: str, count: int, as_json: bool, artifacts: Path) -> None:
    """Recommend items to a user of the data set, given all of the user's history."""
    from .recommender.recommend import recommend_to_user

    answer = recommend_to_user(artifacts, variant, user, count)
    if as_json:
        click.echo(json.dumps(answer, ensure_ascii=False))
        return
    click.echo(f"user {user}, latest: {', '.join(answer['history'][-3:])}")
    for place, item in enumerate(answer["recommended"], start=1):
        click.echo(f"{place:3d}  {item}")


def _print_table(rows: list[list[str]]) -> None:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        first = row[0].ljust(widths[0])
        click.echo(
            "  ".join([first, *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))])
        )
