"""Options that several commands share."""

from pathlib import Path

import click

artifacts_option = click.option(
    "--artifacts",
    type=click.Path(path_type=Path),
    default=Path("artifacts"),
    show_default=True,
    help="What the stages wrote; .demo/artifacts for the demo's.",
)
count_option = click.option(
    "-k", "count", type=click.IntRange(1), default=10, show_default=True, help="How many items."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
