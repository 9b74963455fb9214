"""Items to a store: what the encode stage does, and `hierrec embeddings encode` for anybody's catalogue."""

from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ..core.errors import OutOfMemoryError
from ..core.files import cache_dir
from ..store.whitening import Whitening
from .encoder import ItemEncoder
from .params import EncodeParams
from .row_cache import Batches, RowCache, encode_texts
from .store_writer import write_store
from .template import render


def encode_items(items: pl.DataFrame, encode: EncodeParams, folder: Path) -> list[str]:
    """Render, encode and whiten items, and write their store, replacing `folder`.

    Texts that were encoded before, in any project of this user, come from the row cache.

    Args:
        items: item_id and whatever columns the template names, one row per item; in the store, the id stands for
            a missing title.
        encode: the encoder, its settings, the template.
        folder: where to.

    Returns:
        A closing summary, line by line.

    Raises:
        ParamsError: the template names no column, the whitening is too wide, the cache cannot be written, ray is not
            installed, or there is no GPU.
        DataError, ModelError, NumericalError: see ``ItemEncoder``.
        OutOfMemoryError: memory runs out over one text alone; before that, smaller batches are tried.
        MachineError: the store or the cache cannot be written, or the cluster of Ray gives up.
    """
    texts = render(items, encode.template)
    encoder = ItemEncoder.load(encode.model, encode.revision, encode.max_length, encode.device)
    names = [f"item {item_id}" for item_id in items["item_id"]]
    vectors, encoded, batch_tokens = _encode(
        encoder, texts, encode.batch_tokens, names, _batches(encoder, encode)
    )
    whitening = Whitening.fit(vectors, encode.whitening_dimension)
    title = pl.col("title") if "title" in items.columns else pl.lit(None, pl.String)
    items = items.select("item_id", title.fill_null(pl.col("item_id")).alias("title"))
    write_store(
        folder, items, texts, vectors, whitening, encode.template, encoder.description, encode.shard_rows
    )
    how = (
        "centred only" if encode.whitening_dimension is None else f"whitened to {encode.whitening_dimension}"
    )
    return [
        f"encode: {len(items):,} items by {encode.model}; {encoded:,} texts encoded, the rest from the cache",
        f"vectors of width {vectors.shape[1]}, {how}",
        *_reduced(batch_tokens, encode.batch_tokens),
        f"written to {folder}/",
    ]


def _batches(encoder: ItemEncoder, encode: EncodeParams) -> Batches:
    """Return what encodes: the encoder in this process, or workers of Ray."""
    if encode.engine == "local":
        return encoder.batches
    from .ray_engine import RayEngine

    return RayEngine(encoder, encode.model, encode.workers).batches


def _encode(
    encoder: ItemEncoder, texts: list[str], batch_tokens: int, names: list[str], batches: Batches
) -> tuple[NDArray[np.float32], int, int]:
    """Encode, in batches half as large as often as memory runs out.

    Returns:
        As ``encode_texts``, and the size of the batches: vectors are those that a run with it would give.

    Raises:
        OutOfMemoryError: memory runs out over one text alone.
    """
    while True:
        cache = RowCache(cache_dir("encode"), encoder.cache_key(batch_tokens))
        try:
            return *encode_texts(encoder, texts, batch_tokens, cache, names, batches), batch_tokens
        except OutOfMemoryError:
            if batch_tokens == 1:
                raise
        batch_tokens //= 2


def _reduced(batch_tokens: int, wanted: int) -> list[str]:
    if batch_tokens == wanted:
        return []
    return [
        f"memory ran out in batches of {wanted:,} tokens; done in batches of {batch_tokens:,}: set batch_tokens to"
        " that, so that every run gives these vectors to the last bit"
    ]
