"""A cache of encoded texts: a text is encoded again only if it, the model or a setting changed."""

import hashlib
import io
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..core.errors import DataError
from ..core.files import atomic_path, map_npy, sha256_file
from ..store.store_files import text_hash
from .encoder import ItemEncoder

SAVE_SECONDS = 10.0
"""Work that a kill can lose."""

Batches = Callable[
    [Sequence[str], int, Sequence[str] | None], Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]
]
"""``ItemEncoder.batches``, or what gives the same vectors in other batches."""

Keys = NDArray[np.bytes_]
"""Hashes of texts in hexadecimal, S64."""


class RowCache:
    """Vectors by the hash of their text, for one encoder, as files of many rows.

    A file is called by the hash of its content and appears complete or not at all: one that was damaged is
    removed and its texts are encoded again. Several processes may use one cache, and it may be removed at any time.

    Args:
        folder: where the caches of all encoders lie.
        key: what the vectors depend on beside their text, ``ItemEncoder.cache_key()``.
    """

    def __init__(self, folder: Path, key: str) -> None:
        self.folder = folder / key

    def get(self, keys: Keys) -> tuple[NDArray[np.bool_], NDArray[np.float32] | None]:
        """Look vectors up.

        Args:
            keys: S64 [n].

        Returns:
            Which are there, bool [n], and the vectors float32 [n, d], zero where not there; None in place of
            the vectors if none is.
        """
        found = np.zeros(len(keys), np.bool_)
        rows: NDArray[np.float32] | None = None
        for path in sorted(self.folder.glob("*.npy")):
            if (table := _read(path)) is None:
                continue
            known = np.ascontiguousarray(table["key"])
            place = np.searchsorted(known, keys).clip(max=len(known) - 1)
            hit = np.flatnonzero(known[place] == keys)
            if len(hit):
                if rows is None:
                    rows = np.zeros((len(keys), table["vector"].shape[1]), np.float32)
                rows[hit] = table["vector"][place[hit]]
                found[hit] = True
        return found, rows

    def put(self, keys: Keys, vectors: NDArray[np.float32]) -> None:
        """Store vectors float32 [n, d] under keys S64 [n]."""
        table = np.empty(len(keys), _row(vectors.shape[1]))
        order = np.argsort(keys)
        table["key"], table["vector"] = keys[order], vectors[order]
        content = io.BytesIO()
        np.save(content, table, allow_pickle=False)
        name = hashlib.sha256(content.getbuffer()).hexdigest()
        with atomic_path(self.folder / f"{name}.npy") as temporary:
            temporary.write_bytes(content.getbuffer())


def _row(width: int) -> np.dtype:
    return np.dtype([("key", "S64"), ("vector", "<f4", (width,))])


def _read(path: Path) -> np.memmap | None:
    """Return the rows of a file; None if it is damaged, and then removed, or another process has just removed it."""
    try:
        if sha256_file(path) == path.stem:
            table = map_npy(path)
            shape = table.dtype["vector"].shape if table.dtype.names == ("key", "vector") else ()
            if table.ndim == len(shape) == 1 and len(table) and table.dtype == _row(*shape):
                return table
        path.unlink(missing_ok=True)
    except (OSError, DataError):  # it vanished, or cannot be read or removed: its texts are encoded again
        pass
    return None


def encode_texts(
    encoder: ItemEncoder,
    texts: Sequence[str],
    batch_tokens: int,
    cache: RowCache,
    names: Sequence[str] | None = None,
    batches: Batches | None = None,
) -> tuple[NDArray[np.float32], int]:
    """Encode texts, equal ones once, and those that the cache holds not at all.

    What is encoded reaches the cache every few seconds, so that a run that was stopped goes on where it was.

    Args:
        encoder: loaded only if a text is to be encoded.
        texts: any texts, at least one.
        batch_tokens: see ``ItemEncoder.batches``.
        cache: the encoder's.
        names: what messages call the texts.
        batches: encodes what the cache lacks; None: the encoder itself.

    Returns:
        Vectors float32 [n, d], and how many texts were encoded.

    Raises:
        DataError, ModelError, NumericalError: see ``ItemEncoder.batches``.
    """
    if not texts:
        raise DataError("there are no texts to encode", "texts")
    keys, first, inverse = np.unique(
        np.array([text_hash(text) for text in texts], "S64"), return_index=True, return_inverse=True
    )
    found, rows = cache.get(keys)
    missing = np.flatnonzero(~found)
    originals = [int(place) for place in first[missing]]
    pending: list[NDArray[np.int64]] = []
    saved = time.monotonic()

    def save() -> None:
        if pending and rows is not None:
            places = np.concatenate(pending)
            cache.put(keys[places], rows[places])
            pending.clear()

    try:
        for batch, vectors in (batches or encoder.batches)(
            [texts[place] for place in originals],
            batch_tokens,
            None if names is None else [names[place] for place in originals],
        ):
            if rows is None:
                rows = np.empty((len(keys), vectors.shape[1]), np.float32)
            rows[missing[batch]] = vectors
            pending.append(missing[batch])
            if time.monotonic() - saved > SAVE_SECONDS:
                save()
                saved = time.monotonic()
    finally:
        save()
    assert rows is not None
    return rows[inverse], len(missing)
