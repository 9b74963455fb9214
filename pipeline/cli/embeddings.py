"""`hierrec embeddings`: check, export, make and search stores."""

from pathlib import Path
from typing import Any

import click

from ..core.errors import ParamsError
from .options import FilePath, can_replace_store, check_out, force_option

FORMATS = ("parquet", "npy", "datasets", "word2vec", "projector")
OUT = "File or folder to write, whole or not at all."
TEMPLATE = "Template of an item's text, with {columns}. If repeated, each template gets its own vector."
WHITENING = "Dimensions kept by PCA whitening, once for each template. By default vectors are centred only."
SHARD = "Items per shard. By default all items are in one file."
ID_COLUMN = "Column of the items' ids. By default item_id, else the only one with a usual name, e.g. sku or asin."
POOLING, PRECISION = "Pooling of token states.", "Precision of matrix products."

path = FilePath()
store_argument = click.argument("store", type=path)
out_option = click.option("--out", type=path, required=True, help=OUT)


@click.group()
def embeddings() -> None:
    """Use item embeddings, of this project or of any store folder."""


@embeddings.command()
@store_argument
@click.pass_context
def verify(context: click.Context, store: Path) -> None:
    """Check every file, hash, shape and row of a store; report all problems."""
    from ..reuse.diagnosis import diagnose
    from ..store.store import EmbeddingStore

    problems = diagnose(store)
    for problem in problems:
        click.echo(f"error: {problem.where}: {problem.what}", err=True)
    for remedy in dict.fromkeys(problem.remedy for problem in problems):
        click.echo(f"  what to do: {remedy}", err=True)
    if problems:
        context.exit(1)
    opened = EmbeddingStore.open(store)
    manifest, (count, width) = opened.manifest, opened.vectors.shape
    model = manifest["model"]
    revision = "" if model["revision"] is None else f" at {model['revision'][:12]}"
    made = f"{model['id']}{revision} (weights {model['weights_sha256'][:12]})"
    click.echo(f"OK: {count:,} items, vectors of width {width}, {manifest['whitened_dimension']} whitened")
    click.echo(f"by {made}, {manifest['template']!r}\nstore {opened.hash[:12]}")


@embeddings.command()
@store_argument
@click.option("--format", "form", type=click.Choice(FORMATS), required=True, help="A format named above.")
@out_option
@click.option("--whitened", is_flag=True, help="Write the whitened vectors, not the encoder's.")
@force_option
def export(store: Path, form: str, out: Path, whitened: bool, force: bool) -> None:
    """Write ids and vectors in another tool's format.

    \b
    parquet    a file: item_id, title, embedding (a list of fixed length)
    npy        a folder: embeddings.npy, and ids.json in its order
    datasets   a folder for Hugging Face's datasets.load_from_disk
    word2vec   a text file for gensim's KeyedVectors.load_word2vec_format
    projector  a folder for TensorBoard's projector: tensors.tsv, metadata.tsv

    In the last two, white space, control characters and % in ids are percent-encoded.
    """
    from ..reuse.export import WRITERS
    from ..reuse.export import export as write
    from ..store.store import EmbeddingStore

    is_folder = bool(WRITERS[form][1])
    check_out(out, is_folder, force, keep=store)
    opened = EmbeddingStore.open(store)
    write(opened, form, out, whitened)
    width = opened.manifest["whitened_dimension" if whitened else "dimension"]
    click.echo(f"{len(opened.vectors):,} vectors of width {width} written to {out}{'/' if is_folder else ''}")


@embeddings.command()
@click.option("--items", type=path, required=True, help="Table of items, of any format that ingest reads.")
@out_option
@click.option("--model", default="t5-nano", help="t5-nano (bundled), a folder, or the id of a hub model.")
@click.option("--revision", help="Commit of a hub model.")
@click.option("--template", multiple=True, default=["{title}"], help=TEMPLATE)
@click.option("--id-column", help=ID_COLUMN)
@click.option("--pooling", type=click.Choice(["mean", "last"]), default="mean", help=POOLING)
@click.option("--precision", type=click.Choice(["float32", "bfloat16"]), default="float32", help=PRECISION)
@click.option("--max-length", type=click.IntRange(2), default=128, help="Tokens read of a text.")
@click.option("--batch-tokens", type=click.IntRange(1), default=1024, help="Tokens per batch.")
@click.option("--whitening-dimension", type=click.IntRange(1), multiple=True, help=WHITENING)
@click.option("--shard-rows", type=click.IntRange(1), help=SHARD)
@click.option("--engine", type=click.Choice(["local", "ray"]), default="local", help="Where to encode.")
@click.option("--workers", type=click.IntRange(1), help="Processes of engine ray. By default one per core.")
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", help="Device that encodes.")
@force_option
def encode(
    items: Path,
    out: Path,
    id_column: str | None,
    template: tuple[str, ...],
    whitening_dimension: tuple[int, ...],
    force: bool,
    **settings: Any,
) -> None:
    """Encode a catalogue of your own: the pipeline's encoder, row cache and kind of store.

    A store at --out is replaced. --force replaces an export of a store too.
    """
    from pydantic import ValidationError

    from ..encode.encode_items import encode_items
    from ..encode.params import EncodeParams
    from ..reuse.item_tables import read_catalogue

    lists = {"template": template, "whitening_dimension": whitening_dimension or (None,) * len(template)}
    single = all(len(values) == 1 for values in lists.values())
    settings |= {name: next(iter(values)) if single else list(values) for name, values in lists.items()}
    try:
        params = EncodeParams(**settings)
    except ValidationError as error:
        problem = next((one for one in error.errors() if not one["type"].endswith("_type")), error.errors()[0])
        what, _, remedy = problem["msg"].removeprefix("Value error, ").partition("; ")
        raise ParamsError(what, f"--{problem['loc'][0]}".replace("_", "-"), remedy or None) from None
    check_out(out, True, force or can_replace_store(out), keep=items)
    click.echo("\n".join(encode_items(read_catalogue(items, id_column), params, out)))


@embeddings.command(context_settings={"ignore_unknown_options": True})  # an id may begin with a hyphen
@store_argument
@click.argument("item")
@click.option("-k", "count", type=click.IntRange(1), default=10, help="How many.")
@click.option("--raw", is_flag=True, help="Compare the encoder's vectors, not the whitened ones.")
def neighbours(store: Path, item: str, count: int, raw: bool) -> None:
    """Show the items whose whitened vectors are nearest to an item's, by cosine (0 for an item without text)."""
    from ..store.store import EmbeddingStore

    for _, item_id, title, cosine in EmbeddingStore.open(store).neighbours(item, count, raw).iter_rows():
        click.echo(f"{cosine:.4f}  {item_id}  {title}")
