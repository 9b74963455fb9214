"""`hierrec update`: a folder with everything that serving reads, extended without training."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ..core.errors import DataError, ModelError, ParamsError
from ..core.files import CHECKSUMS, atomic_directory, cache_dir, read_json, sha256_file, write_json
from ..data.tables import load_users
from ..encode.encoder import ItemEncoder
from ..encode.params import EncodeParams
from ..encode.row_cache import encode_texts
from ..encode.store_writer import write_store
from ..encode.template import render_fields
from ..index.build import build_index
from ..model.inputs import Inputs, load_inputs
from ..params import Params
from ..rag.checkpoint import fitted_on_all
from ..search.index import ItemIndex
from ..search.index_kinds import choose_kind
from ..serving.artifacts import require
from ..store.store import EmbeddingStore
from ..store.whitening import WhitenedVectors
from .memory import write_grown
from .tables import grown

LIVE = "live"
"""Folder of the extended artifacts, among those of the stages."""
MODELS = ("final", "rag")
"""Models that are extended: the first that is there."""
RECORD = "live.json"
"""File of an extended folder: from which model it was made."""


def update(
    artifacts: Path, params: Params, interactions: Path | None, items: Path | None, out: Path | None = None
) -> list[str]:
    """Write `out`: tables, store, index and rag model with further interactions, users and items.

    The first update starts from what the stages wrote, the next ones from `out`. The result is what all rows in one
    update would give, bit for bit on one machine. `out` is replaced as a whole, or stays as it is.

    Args:
        artifacts: what the stages wrote; it is only read.
        params: sections `ingest`, `encode` and `index` are used.
        interactions: a table, see `ingest.own_files.read_files`; None: none.
        items: a table; None: none.
        out: None: `live` in `artifacts`.

    Returns:
        A closing summary, line by line.

    Raises:
        ParamsError: there is nothing to add.
        DataError: a table is malformed, or `out` holds something else, or was made from another model.
        StoreError, IndexMismatchError, CheckpointError: an artifact is missing or damaged.
        ModelError: the params name another item LLM than that of the store.
    """
    if interactions is None and items is None:
        raise ParamsError("there is nothing to add", remedy="name a table: --interactions, --items")
    out = artifacts / LIVE if out is None else out
    with _alone(out):
        record = _record(artifacts)
        base = out if out.exists() else artifacts
        if base is out and (not (out / RECORD).is_file() or read_json(out / RECORD) != record):
            what = "was not made from the model that the stages wrote last"
            remedy = "remove or rename it, and add again what the data of the stages lacks"
            raise DataError(what, str(out), remedy)
        model = Path("models") / record["model"]
        require(base / "data", base / "item_embeddings", base / "index", base / model)
        dataset = grown(base / "data", interactions, items, params.ingest)
        before = load_inputs(base / "data", base / "item_embeddings")
        if fitted_on_all(base / model):
            before = before.whole()
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
            index = ItemIndex.open(base / "index", before.store_hash)
            user_rows = _rows(users, dataset.users["user_id"])
            (temporary / model).mkdir(parents=True)
            computed = write_grown(base / model, temporary / model, before, after, index, rows, user_rows)
            write_json(temporary / RECORD, record)
    return [*_summary(before, after, encoded), f"{computed:,} states computed", f"written to {out}/"]


def _record(artifacts: Path) -> dict[str, str]:
    """Return the model that is extended, and its identity."""
    there = [name for name in MODELS if (artifacts / "models" / name).is_dir()]
    require(*([] if there else [artifacts / "models" / MODELS[-1]]))
    checksums = artifacts / "models" / there[0] / CHECKSUMS
    require(checksums)
    return {"model": there[0], "made_of": sha256_file(checksums)}


def _rows(before: pl.Series, after: pl.Series) -> NDArray[np.int64]:
    """Return the row in `after` of each id in `before`; all are there."""
    numbers = dict(zip(after, range(len(after)), strict=True))
    return np.array([numbers[name] for name in before], np.int64)


def _write_store(base: Path, folder: Path, items: pl.DataFrame, encode: EncodeParams) -> int:
    """Write the store of all items; texts of new ones are encoded, the whitening stays. Return the number of texts."""
    old = EmbeddingStore.open(base / "item_embeddings")
    manifest, known = old.manifest, old.items.select("item_id", "text", old_row="row")
    table = items.select("item_id").join(known, on="item_id", how="left", maintain_order="left")
    new = table["old_row"].is_null()
    texts, vectors = table["text"].to_list(), np.empty((len(table), manifest["dimension"]), np.float32)
    vectors[~new.to_numpy()] = old.vectors[table["old_row"].drop_nulls().to_numpy().astype(np.int64)]
    encoded = 0
    if new.any():
        encoder = ItemEncoder.load(encode.model, encode.revision, manifest["max_length"], encode.device)
        if any(manifest[key] != value for key, value in encoder.description.items()):
            what = "is not the item LLM of the store, or its settings differ"
            raise ModelError(what, encoder.files.place, "set encode to the params of the artifacts")
        fresh = items.filter(new)
        template, names = manifest["template"], [f"item {name}" for name in fresh["item_id"]]
        fields, rendered = render_fields(fresh, [template] if isinstance(template, str) else template)
        caches = cache_dir("encode")
        parts = [encode_texts(encoder, field, encode.batch_tokens, names, caches) for field in fields]
        vectors[new.to_numpy()] = np.concatenate([part for part, _ in parts], 1)
        encoded = sum(count for _, count in parts)
        for row, text in zip(new.arg_true(), rendered, strict=True):
            texts[row] = text
    named = items.select("item_id", pl.col("title").fill_null(pl.col("item_id")))
    description = {key: manifest[key] for key in ("model", "pooling", "max_length", "dtype")}
    shard_rows = manifest["shards"][0] if "shards" in manifest else None
    written = manifest["template"], description, shard_rows
    write_store(folder / "item_embeddings", named, texts, vectors, old.whitening, *written)
    return encoded


def _summary(before: Inputs, after: Inputs, encoded: int) -> list[str]:
    counts = [(len(one.sequences.items), one.sequences.user_count, len(one.items)) for one in (before, after)]
    interactions, users, items = (f"{new - old:,}" for old, new in zip(*counts, strict=True))
    return [f"{interactions} interactions, {users} users and {items} items more; {encoded:,} texts encoded"]


@contextmanager
def _alone(out: Path) -> Iterator[None]:
    """Wait until no other update writes beside `out`: it would lose what this one adds."""
    out.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(out.parent, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
