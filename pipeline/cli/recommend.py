"""`hierrec recommend` and `hierrec similar`."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

import click

from ..core import VARIANTS
from ..core.memory import gc_frozen
from ..serving.artifacts import model_folder
from .options import FilePath, artifacts_option, check_out, count_option, force_option, json_option
from .show import show_table

if TYPE_CHECKING:
    from ..serving.rules import Rules

LATEST = 5  # items of the history that are shown
LEAST_SHARE = 0.005  # share of a probability from which the evidence of a source is shown
HISTORY = "Title or id of an item of the history; repeat the option for each item, oldest first."
MODEL = "Folder of the model.  [default: models/final of the artifacts, else the model of --variant there]"
ALL = "Recommend to every user of the data set and write the file --out. A killed run continues where it stopped."
USERS = "The same for the users in a text file: an id on each line."
OUT = "File that --all or --users writes; its name ends in .parquet, .csv or .jsonl (JSON lines)."
WHERE = "SQL condition on the items, such as \"year >= 1990 AND genres LIKE '%Drama%'\"."
SEEN = "Leave out the items of the history, or allow them. By default as the model was trained."
LEFT_OUT = "the rules, the history and ingest.candidates leave the others out"
DIVERSITY = "From 0 (the best items) to 1 (the least alike), by maximal marginal relevance."


@click.command()
@click.option("--user", help="Id of a user of the data set. The whole history is read.")
@click.option("--history", multiple=True, metavar="ITEM", help=HISTORY)
@click.option("--all", "everybody", is_flag=True, help=ALL)
@click.option("--users", type=FilePath(), help=USERS)
@click.option("--out", type=FilePath(), help=OUT)
@force_option
@click.option("--variant", type=click.Choice(VARIANTS), default="rag", help="Variant that recommends.")
@click.option("--model", type=FilePath(), help=MODEL)
@click.option("--why", is_flag=True, help="Show what was retrieved and what it contributed (variant rag).")
@click.option("--exclude", multiple=True, metavar="ITEM", help="An item that is not recommended; repeatable.")
@click.option("--candidates", multiple=True, metavar="ITEM", help="Recommend these items only; repeatable.")
@click.option("--where", metavar="SQL", help=WHERE)
@click.option("--exclude-seen/--include-seen", default=None, help=SEEN)
@click.option("--diversity", type=click.FloatRange(0, 1), default=0.0, help=DIVERSITY)
@count_option
@json_option
@artifacts_option
def recommend(
    user: str | None,
    history: tuple[str, ...],
    everybody: bool,
    users: Path | None,
    out: Path | None,
    force: bool,
    variant: str,
    model: Path | None,
    why: bool,
    count: int,
    as_json: bool,
    artifacts: Path,
    **rules: Unpack["Rules"],
) -> None:
    """Recommend the next items to a user of the data set, to anybody's history, or to many users.

    Titles match in any case, without accents or punctuation too; article and year may be left out.
    """
    many = everybody or users is not None
    if (user is not None) + bool(history) + everybody + (users is not None) != 1:
        raise click.UsageError("give one of --user, --history, --all and --users")
    if many != (out is not None) or (many and (why or as_json)):
        raise click.UsageError("--all or --users goes with --out, and with neither --why nor --json")
    if users is not None and out is not None and users.resolve() == out.resolve():
        raise click.UsageError("--out is the file of --users")
    if why and variant != "rag":
        raise click.UsageError("--why needs --variant rag: hierarchical retrieves nothing")
    with gc_frozen():
        from ..serving.recommend import Recommender

    rules["candidates"] = rules.get("candidates") or None
    folder = model or model_folder(artifacts, variant)
    recommender = Recommender.load(folder, variant=variant)
    if out is not None:
        from ..serving.to_file import read_users, write_recommendations

        asked = recommender.user_ids if users is None else read_users(users)
        read_from = [*(artifacts / name for name in ("data", "item_embeddings", "index")), folder]
        check_out(out, False, force, keep=artifacts)
        written = write_recommendations(recommender, out, read_from, count, asked, **rules)
        wanted = len(asked) * min(count, len(recommender.item_ids))
        click.echo(f"{written:,} recommendations for {len(asked):,} users written to {out}")
        if written < wanted:
            click.echo(f"{written:,} of {wanted:,}: {LEFT_OUT}", err=True)
        return
    answer = recommender.answer(user, history, count, why, **rules)
    if as_json:
        click.echo(json.dumps({"model": folder.name, **asdict(answer)}, ensure_ascii=False))
        return
    found = answer.recommended
    latest = ", ".join(item.title for item in answer.history[-LATEST:])
    click.echo(f"{'history' if user is None else f'user {user}, latest'}: {latest}")
    header = ["", "title", "probability"]
    if found and (first := found[0].why):
        trust = ", ".join(f"{share:.0%} {name}" for name, share in first.trust.items())
        click.echo(f"trust: {trust}")
        header += [*first.parts, "because"]
    rows: list[list[object]] = []
    for place, item in enumerate(found, start=1):
        rows.append([place, item.title, item.probability])
        if item.why:
            parts = item.why.parts
            because = (one.because for one in item.why.evidence if parts[one.source] >= LEAST_SHARE)
            rows[-1] += [*(f"{share:.0%}" for share in parts.values()), "; ".join(because)]
    show_table(header, rows, text=("title", "because"))
    if len(found) < count:
        click.echo(f"{len(found)} of {count} items: {LEFT_OUT}", err=True)


@click.command()
@click.argument("item")
@count_option
@json_option
@artifacts_option
def similar(item: str, count: int, as_json: bool, artifacts: Path) -> None:
    """Show the items whose texts are most similar to the text of ITEM, an id or a title."""
    from ..serving.catalogue import Catalogue

    catalogue = Catalogue.load(artifacts / "data", artifacts / "item_embeddings", artifacts / "index")
    row = catalogue.finder.find(item)
    asked, found, index = catalogue[row], catalogue.similar(row, count), catalogue.index
    if as_json:
        answer = {"item": asked, "exact": index.exact, "similar": found}
        click.echo(json.dumps(answer, ensure_ascii=False, default=asdict))
        return
    click.echo(f"similar to {asked.title}{'' if index.exact else f' ({index})'}:")
    rows = [(place, other.title, other.similarity) for place, other in enumerate(found, start=1)]
    show_table(("", "title", "similarity"), rows, text=("title",))
    if len(found) < count:
        none, no_more = "no other text has a similarity above 0", "the approximate index found no more"
        click.echo(f"{len(found)} of {count} items: {none if index.exact else no_more}", err=True)
