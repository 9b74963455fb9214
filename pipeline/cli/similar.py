"""`hierrec similar`."""

import json
from dataclasses import asdict
from pathlib import Path

import click

from .options import artifacts_option, count_option, json_option
from .show import show_table


@click.command()
@click.argument("item")
@count_option
@json_option
@artifacts_option
def similar(item: str, count: int, as_json: bool, artifacts: Path) -> None:
    """Show the items whose texts are most similar to that of ITEM, an id or a title."""
    from ..serving.catalogue import Catalogue

    catalogue = Catalogue.load(artifacts / "data", artifacts / "item_embeddings", artifacts / "index")
    asked, found = catalogue[catalogue.row(item)], catalogue.similar(item, count)
    index = catalogue.index
    if as_json:
        similar = [asdict(other) for other in found]
        answer = {"item": asdict(asked), "exact": index.exact, "similar": similar}
        click.echo(json.dumps(answer, ensure_ascii=False))
        return
    click.echo(f"similar to {asked.title}{'' if index.exact else f' ({index})'}:")
    rows = [(place, other.title, other.similarity) for place, other in enumerate(found, start=1)]
    show_table(("", "title", "similarity"), rows, text=("title",))
