"""`hierrec embeddings`: check, export, make and search stores."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from ..core.errors import DataError, ParamsError
from .options import FilePath

FORMATS = ("parquet", "npy", "datasets", "word2vec", "projector")

path = FilePath()
store_argument = click.argument("store", type=path)
out_option = click.option(
    "--out", type=path, required=True, help="Where to; written as a whole or not at all."
)
force_option = click.option("--force", is_flag=True, help="Replace what is there.")


@click.group()
def embeddings() -> None:
    """Use item embeddings, of this project or of any store folder."""


@embeddings.command()
@store_argument
@click.pass_context
def verify(context: click.Context, store: Path) -> None:
    """Check every file, hash, shape and row of a store; say all that is wrong."""
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
    click.echo(f"OK: {count:,} items, vectors of width {width}, {manifest['whitened_dimension']} whitened")
    weights = model["weights_sha256"][:12]
    click.echo(f"by {model['id']}{revision} (weights {weights}), {manifest['template']!r}")
    click.echo(f"store {opened.hash[:12]}")


@embeddings.command()
@store_argument
@click.option("--format", "form", type=click.Choice(FORMATS), required=True, help="One of those above.")
@out_option
@click.option("--whitened", is_flag=True, help="The whitened vectors, in place of the encoder's.")
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
    with _replacing(out, is_folder, force, keep=store):
        opened = EmbeddingStore.open(store)
        write(opened, form, out, whitened)
    width = opened.manifest["whitened_dimension" if whitened else "dimension"]
    click.echo(f"{len(opened.vectors):,} vectors of width {width} written to {out}{'/' if is_folder else ''}")


@embeddings.command()
@click.option("--items", type=path, required=True, help="Table of items: .csv or .parquet.")
@out_option
@click.option("--model", default="t5-nano", help="Bundled name, folder, or id of a hub.")
@click.option("--revision", help="Commit of a hub model.")
@click.option("--template", default="{title}", help="Text of an item, from its {columns}.")
@click.option("--id-column", default="item_id", help="Column of the items' ids.")
@click.option("--max-length", type=click.IntRange(2), default=128, help="Tokens read.")
@click.option("--batch-tokens", type=click.IntRange(1), default=1024, help="Of a batch.")
@click.option("--whitening-dimension", type=click.IntRange(1), help="By default vectors are centred only.")
@click.option(
    "--shard-rows", type=click.IntRange(1), help="Items of a shard; by default all are in one file."
)
@click.option("--engine", type=click.Choice(["local", "ray"]), default="local", help="Where.")
@click.option("--workers", type=click.IntRange(1), help="Of engine ray; by default one for each processor.")
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", help="What computes.")
@force_option
def encode(items: Path, out: Path, id_column: str, force: bool, **settings: Any) -> None:
    """Encode a catalogue of your own: the pipeline's encoder, row cache and kind of store."""
    from pydantic import ValidationError

    from ..encode.encode_items import encode_items
    from ..encode.params import EncodeParams
    from ..reuse.item_tables import read_catalogue

    try:
        params = EncodeParams(**settings)
    except ValidationError as error:
        problem = error.errors()[0]
        raise ParamsError(problem["msg"], f"--{problem['loc'][0]}".replace("_", "-")) from None
    with _replacing(out, True, force or _is_store(out), keep=items):
        summary = encode_items(read_catalogue(items, id_column), params, out)
    click.echo("\n".join(summary))


@embeddings.command()
@store_argument
@click.argument("item")
@click.option("-k", "count", type=click.IntRange(1), default=10, help="How many.")
@click.option("--raw", is_flag=True, help="Compare the encoder's vectors, in place of the whitened ones.")
def neighbours(store: Path, item: str, count: int, raw: bool) -> None:
    """Show the items whose whitened vectors are nearest to an item's, by cosine: as `hierrec similar` does."""
    from ..store.store import EmbeddingStore

    for _, item_id, title, cosine in EmbeddingStore.open(store).neighbours(item, count, raw).iter_rows():
        click.echo(f"{cosine:.4f}  {item_id}  {title}")


def _is_store(folder: Path) -> bool:
    """Whether a folder is empty, or holds a store and nothing else; then encoding again can replace it."""
    from ..core.files import read_json
    from ..store.store_files import FILES, INDEX, KEYS, MANIFEST, SHARD

    if not folder.is_dir():
        return False
    names = {entry.name for entry in folder.iterdir() if not SHARD.fullmatch(entry.name)}
    if MANIFEST not in names or not names <= {*FILES, *INDEX, MANIFEST}:
        return not any(folder.iterdir())
    try:
        manifest = read_json(folder / MANIFEST)
    except DataError:
        return False
    return isinstance(manifest, dict) and set(KEYS) <= set(manifest)


def _is_ours(path: Path) -> bool:
    """Whether a path is a regular file, or a folder that holds only a store or an export: it may be replaced."""
    from ..reuse.export import is_export

    if not path.is_dir():
        return path.is_file()
    files = all(entry.is_file() and not entry.is_symlink() for entry in path.iterdir())
    return files and (_is_store(path) or is_export(path))


@contextmanager
def _replacing(out: Path, is_folder: bool, force: bool, keep: Path) -> Iterator[None]:
    """Raise DataError if writing to `out` would destroy something, such as the input `keep`, or fails in the block.

    `is_folder` says that the output is a folder; `force`, that it may exist already.
    """
    target, source, here = out.resolve(), keep.resolve(), Path.cwd().resolve()
    what, remedy = None, "choose another place: --out"
    if target.is_relative_to(source) or source.is_relative_to(target) or here.is_relative_to(target):
        what = f"would replace the current folder, or {keep}, or write into it"
    elif out.is_symlink() or (out.exists() and not (out.is_dir() if is_folder else out.is_file())):
        what = f"is there and is not a {'folder' if is_folder else 'regular file'}"
    elif out.exists() and not force:
        what, remedy = "is there already", "choose another place, or replace it: --force"
    elif out.exists() and not _is_ours(out):
        what = "holds files that hierrec did not write, so --force does not replace it"
    if what:
        raise DataError(what, str(out), remedy)
    try:
        yield
    except OSError as error:
        raise DataError(f"cannot be written ({error.strerror or error})", str(out), "mend that") from None
