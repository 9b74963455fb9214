"""Items to a store: the work of stage encode and of `hierrec embeddings encode`."""

from pathlib import Path

import numpy as np
import polars as pl
import polars.selectors as cs
from numpy.typing import NDArray

from ..core.errors import OutOfMemoryError
from ..core.files import cache_dir
from ..store.whitening import Whitening
from .encoder import ItemEncoder
from .params import EncodeParams
from .row_cache import encode_texts
from .store_writer import write_store
from .template import placeholders, render_fields

TEXTS = cs.string() | cs.list()


def encode_items(items: pl.DataFrame, encode: EncodeParams, folder: Path) -> list[str]:
    """Render, encode and whiten items, and write their store, replacing `folder`; return the summary, line by line.

    Vectors of texts that were encoded before come from the row cache, which all projects of a user share.

    `items` have item_id and the template's columns, one row per item; the id stands for a missing title.
    """
    fields, texts = render_fields(items, encode.templates)
    encoder = ItemEncoder.of(encode)
    if encode.engine == "ray":
        from .ray_engine import RayEncoder

        encoder = RayEncoder(encoder.files, encode)
    names = [f"item {item_id}" for item_id in items["item_id"]]
    parts, maps, kept, asked, encoded, used = [], [], [], [], 0, encode.batch_tokens
    for field, dimension in zip(fields, encode.dimensions, strict=True):
        part, new, used = _encode(encoder, field, used, names)
        described = [bool(text) for text in field]
        maps.append(Whitening.fit(part[described] if any(described) else part, dimension))
        parts.append(part)
        encoded += new
        if dimension is not None:
            kept.append(maps[-1].projection.shape[1])
            asked.append(min(dimension, part.shape[1]))
    whitening = Whitening.joined(maps)
    vectors = np.concatenate(parts, 1)
    whitening.fill_missing(vectors, fields)
    write_store(folder, items, texts, vectors, whitening, encode.template, encoder.description, encode.shard_rows)
    how = f"whitened to {' + '.join(map(str, kept))}" if kept else "centred only"
    if kept != asked:
        how += f", not {' + '.join(map(str, asked))}, which are too many for so few texts"
    summary = [
        f"encode: {len(items):,} items by {encode.model}; {encoded:,} texts encoded, the rest from the cache",
        _described(items, texts, encode),
        f"vectors of width {vectors.shape[1]}, {how}",
    ]
    if used < encode.batch_tokens:
        summary.append(
            f"memory ran out in batches of {encode.batch_tokens:,} tokens, so batches had {used:,}:"
            f" with batch_tokens {used} every run gives these vectors, bit for bit"
        )
    return [*summary, f"written to {folder}/"]


def _described(items: pl.DataFrame, texts: list[str], encode: EncodeParams) -> str:
    """Say how many items have a text, and which columns of texts the template does not name."""
    with_text = sum(bool(text.strip()) for text in texts)
    said = f"{with_text:,} of {len(items):,} items have a text"
    named = {"item_id", *(name for template in encode.templates for name in placeholders(template))}
    unused = items.select(TEXTS).select(pl.exclude(named))
    lengths = unused.select(cs.string().str.len_bytes(), cs.list().list.len())
    others = [name for name in unused.columns if lengths[name].sum()]
    equal = "" if with_text else ": their vectors are equal"
    return f"{said}{equal}" + f"; the template does not use {', '.join(others)}" * bool(others)


def _encode(
    encoder: ItemEncoder, texts: list[str], batch_tokens: int, names: list[str]
) -> tuple[NDArray[np.float32], int, int]:
    """Return the result of ``encode_texts``, and `batch_tokens` after halving it until the batches fit into memory."""
    try:
        return *encode_texts(encoder, texts, batch_tokens, names, cache_dir("encode")), batch_tokens
    except OutOfMemoryError:
        if batch_tokens == 1:
            raise
    return _encode(encoder, texts, batch_tokens // 2, names)
