"""`hierrec update`: a folder with everything that serving reads, extended without training."""

from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ..core.errors import DataError, ModelError, ParamsError
from ..core.files import CHECKSUMS, alone_beside, atomic_directory, cache_dir, read_json, sha256_file, write_json
from ..core.tables import load_users
from ..encode.encoder import ItemEncoder
from ..encode.params import EncodeParams
from ..encode.row_cache import encode_texts
from ..encode.store_writer import write_store
from ..encode.template import render_fields
from ..index.build import build_index, choose_kind
from ..model.inputs import load_inputs
from ..params import Params
from ..rag.checkpoint import inputs_for_use
from ..search.index import ItemIndex
from ..serving.artifacts import model_folder, require
from ..store.store import EmbeddingStore
from ..store.whitening import WhitenedVectors
from .memory import write_grown
from .tables import extended_dataset

LIVE = "live"  # folder of the extended artifacts, in the folder of the stages' artifacts
RECORD = "live.json"  # file of an extended folder: from which model it was made


def update(
    artifacts: Path, params: Params, interactions: Path | None, items: Path | None, out: Path | None = None
) -> list[str]:
    """Write `out`: tables, store, index and rag model with further interactions, users and items.

    The first update starts from the artifacts of the stages, later updates from `out`. Several updates give the same
    result as one update with all rows, bit for bit on one machine. `out` is replaced as a whole, or stays as it is.

    Args:
        artifacts: folder that the stages wrote; it is only read.
        params: sections `ingest`, `encode` and `index` are used.
        interactions, items: tables, see `ingest.own_files.read_files`.
        out: None: `live` in `artifacts`.

    Returns:
        A closing summary, line by line.

    Raises:
        ParamsError: there is nothing to add.
        DataError: `out` holds something else, or was made from another model.
        ModelError: the params name another item LLM than the store's.
    """
    if interactions is None and items is None:
        raise ParamsError("there is nothing to add", remedy="name a table: --interactions, --items")
    out = artifacts / LIVE if out is None else out
    if (artifacts / RECORD).is_file():
        what = "was written by `hierrec update`, not by the stages"
        raise DataError(what, str(artifacts), "name the folder of the stages: --artifacts; --out names this one")
    made_of = model_folder(artifacts) / CHECKSUMS
    require(made_of)
    for part in ("data", "item_embeddings", "index", "models", "metrics"):
        if out.resolve().is_relative_to((artifacts / part).resolve()):
            raise DataError("lies in a folder that a stage writes", str(out), "name another folder: --out")
    with alone_beside(out):  # the last writer would lose the rows of the other update
        record = {"model": made_of.parent.name, "made_of": sha256_file(made_of)}
        base = out if out.exists() else artifacts
        if base is out and not (out / RECORD).is_file():
            raise DataError("is no folder that `hierrec update` wrote", str(out), "name another folder: --out")
        if base is out and read_json(out / RECORD) != record:
            what = "was not made from the model that the stages wrote last"
            raise DataError(what, str(out), "remove or rename it, and add again what the data of the stages lacks")
        model = Path("models", record["model"])
        require(base / "data", base / "item_embeddings", base / "index", base / model)
        dataset, notes = extended_dataset(base / "data", interactions, items, params.ingest)
        before = inputs_for_use(base / model, base / "data", base / "item_embeddings")
        users = load_users(base / "data" / "users.parquet")["user_id"]
        with atomic_directory(out) as temporary:
            dataset.write(temporary / "data")
            encode = params.encode.tuned(artifacts / "models" / "encoder")
            encoded = _write_store(base, temporary, dataset.items, encode)
            store = EmbeddingStore.open(temporary / "item_embeddings")
            kind = choose_kind(params.index.kind, len(store.vectors), params.index.exact_up_to)
            vectors = WhitenedVectors(store.whitening, store.vectors)
            build_index(vectors, temporary / "index", store.hash, kind, params.index.recall)
            after = load_inputs(temporary / "data", temporary / "item_embeddings")
            rows = _rows(before.items["item_id"], after.items["item_id"])
            user_rows = _rows(users, dataset.users["user_id"])
            index = ItemIndex.open(base / "index", before.store_hash)
            (temporary / model).mkdir(parents=True)
            computed = write_grown(base / model, temporary / model, before, after, index, rows, user_rows)
            write_json(temporary / RECORD, record)
    return [
        f"{len(after.sequences.items) - len(before.sequences.items):,} interactions,"
        f" {len(dataset.users) - len(users):,} users and {len(after.items) - len(before.items):,} items more;"
        f" {encoded:,} texts encoded",
        *notes,
        f"{computed:,} states computed",
        f"written to {out}/; next: hierrec recommend --artifacts {out} --user ID",
    ]


def _rows(before: pl.Series, after: pl.Series) -> NDArray[np.int64]:
    """Return the row in `after` of each id in `before`; all are there."""
    numbers = dict(zip(after, range(len(after)), strict=True))
    return np.array([numbers[name] for name in before], np.int64)


def _write_store(base: Path, folder: Path, items: pl.DataFrame, encode: EncodeParams) -> int:
    """Write the store of all items; return the number of encoded texts. Only new items are encoded; whitening stays."""
    old = EmbeddingStore.open(base / "item_embeddings")
    manifest, known = old.manifest, old.items.select("item_id", "text")
    new = items.join(known, on="item_id", how="anti", maintain_order="left")
    vectors, texts, encoded = old.vectors[:], known["text"].to_list(), 0
    if len(new):
        kept = {"max_length": manifest["max_length"], "pooling": manifest["pooling"], "precision": manifest["dtype"]}
        encoder = ItemEncoder.of(encode.model_copy(update=kept))
        if any(manifest[key] != value for key, value in encoder.description.items()):
            what = "is not the item LLM of the store, or its settings differ"
            raise ModelError(what, encoder.files.place, "set encode to the params of the artifacts")
        template, names = manifest["template"], [f"item {name}" for name in new["item_id"]]
        fields, rendered = render_fields(new, [template] if isinstance(template, str) else template)
        caches = cache_dir("encode")
        parts = [encode_texts(encoder, field, encode.batch_tokens, names, caches) for field in fields]
        added = np.concatenate([part for part, _ in parts], 1)
        old.whitening.fill_missing(added, fields)
        vectors = np.concatenate([vectors, added])
        encoded = sum(count for _, count in parts)
        texts += rendered
    rows = _rows(items["item_id"], pl.concat([known["item_id"], new["item_id"]]))
    description = {key: manifest[key] for key in ("model", "pooling", "max_length", "dtype")}
    shard_rows = manifest["shards"][0] if "shards" in manifest else None
    texts, vectors, template = [texts[row] for row in rows], vectors[rows], manifest["template"]
    write_store(folder / "item_embeddings", items, texts, vectors, old.whitening, template, description, shard_rows)
    return encoded
