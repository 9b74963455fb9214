"""`hierrec metrics`."""

from pathlib import Path

import click

from ..variants import VARIANTS
from .options import artifacts_option
from .show import show_table


@click.command()
@artifacts_option
def metrics(artifacts: Path) -> None:
    """Show the metrics of both variants as a table."""
    from ..evaluation.table import metrics_table
    from ..files import read_json
    from ..recommender.artifacts import require

    paths = {variant: artifacts / "metrics" / f"{variant}.json" for variant in VARIANTS}
    require(*paths.values())
    header, *rows = metrics_table({variant: read_json(path) for variant, path in paths.items()})
    show_table(header, rows, text=("variant", "split"))
