"""`hierrec data`."""

from pathlib import Path

import click

from .options import artifacts_option


@click.command()
@artifacts_option
def data(artifacts: Path) -> None:
    """Show the size, density, lengths, texts, ties and times of the data, and warnings, as `ingest` does."""
    from ..ingest.dataset import Dataset
    from ..ingest.look import look
    from ..serving.artifacts import read_counts, require

    folder, metrics = artifacts / "data", artifacts / "metrics"
    require(folder / "manifest.json", metrics / "data.json")
    counts, cut = read_counts(metrics)
    removed = {name: count for name, count in counts.items() if name.startswith("removed_")}
    click.echo("\n".join(look(Dataset.read(folder, removed, cut))))
