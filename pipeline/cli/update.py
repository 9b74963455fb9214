"""`hierrec update`."""

from pathlib import Path

import click

from .options import FilePath, artifacts_option


@click.command()
@click.option("--interactions", type=FilePath(), help="Table of user, item and timestamp, of any format.")
@click.option("--items", type=FilePath(), help="Table of new items, with the columns of the data's items.")
@click.option("--out", type=FilePath(), help="Folder to write.  [default: live in the artifacts]")
@click.option("--params", type=FilePath(), help="Params.  [default: params.yaml beside the artifacts]")
@artifacts_option
def update(
    interactions: Path | None, items: Path | None, out: Path | None, params: Path | None, artifacts: Path
) -> None:
    """Add interactions, users and items without training, in a folder that serving reads.

    The first update starts from the artifacts, which stay as they are. Later updates start from the written folder.

    Then: hierrec recommend --artifacts artifacts/live --user ID
    """
    from ..params import load_params
    from ..update.update import update as extend

    settings = load_params(artifacts.resolve().parent / "params.yaml" if params is None else params)
    click.echo("\n".join(extend(artifacts, settings, interactions, items, out)))
