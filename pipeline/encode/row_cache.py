"""Cache of encoded texts. A text is encoded again only if the text, the model or a setting changed."""

import hashlib
import io
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..core.errors import DataError, NumericalError
from ..core.files import atomic_path, map_npy, sha256_file
from ..store.store_files import text_hash
from .encoder import ItemEncoder

SAVE_SECONDS = 10.0  # seconds of work that may be lost if the process is killed

Keys = NDArray[np.bytes_]  # hashes of texts in hexadecimal, S64


class RowCache:
    """Vectors by the hash of their text, in files of many rows; `key` is the encoder's ``cache_key``.

    A file is named by the hash of its content. A damaged file is removed, and its texts are encoded again. Several
    processes may use a cache at the same time. It may be removed at any time.
    """

    def __init__(self, folder: Path, key: str) -> None:
        self.folder = folder / key

    def get(self, keys: Keys) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
        """Return whether each key, S64 [n], is cached, bool [n], and vectors, float32 [n, d]; d is 0 if no key is."""
        found, rows = np.zeros(len(keys), np.bool_), np.empty((len(keys), 0), np.float32)
        for path in sorted(self.folder.glob("*.npy")):
            if (table := _read(path)) is None:
                continue
            known = np.ascontiguousarray(table["key"])
            place = np.searchsorted(known, keys).clip(max=len(known) - 1)
            hit = np.flatnonzero(known[place] == keys)
            if len(hit):
                if not rows.size:
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
    """Return the rows of a file; None if it vanished or is damaged. Remove a damaged file."""
    try:
        if sha256_file(path) == path.stem:
            table = map_npy(path)
            shape = table.dtype["vector"].shape if table.dtype.names == ("key", "vector") else ()
            if table.ndim == len(shape) == 1 and len(table) and table.dtype == _row(*shape):
                return table
        path.unlink(missing_ok=True)
    except (OSError, DataError):  # another process removed it, or it cannot be read or removed
        pass
    return None


def encode_texts(
    encoder: ItemEncoder, texts: Sequence[str], batch_tokens: int, names: Sequence[str], caches: Path
) -> tuple[NDArray[np.float32], int]:
    """Encode at least one text by ``ItemEncoder.batches``. Equal texts are encoded once, cached texts not at all.

    New vectors are written to the cache every few seconds, so that an interrupted run continues. `names` are the texts'
    names in messages, `caches` is the folder of the caches of all encoders. Returns vectors float32 [n, d], and the
    number of encoded texts. Raises ``DataError`` if there are no texts, ``NumericalError`` if a vector is not finite.
    """
    if not texts:
        raise DataError("there are no texts to encode", "texts")
    cache = RowCache(caches, encoder.cache_key(batch_tokens))
    hashes = np.array([text_hash(text) for text in texts], "S64")
    keys, first, inverse = np.unique(hashes, return_index=True, return_inverse=True)
    found, rows = cache.get(keys)
    missing = np.flatnonzero(~found)
    new: list[int] = first[missing].tolist()
    pending: list[NDArray[np.int64]] = []
    saved = time.monotonic()

    def save() -> None:
        if pending:
            places = np.concatenate(pending)
            cache.put(keys[places], rows[places])
            pending.clear()

    try:
        for batch, vectors in encoder.batches([texts[place] for place in new], batch_tokens):
            finite = np.isfinite(vectors).all(1)
            if not finite.all():
                what, wrong = "the model gives a vector that is not finite", int(batch[finite.argmin()])
                raise NumericalError(what, names[new[wrong]], "use another model, or weights that work in float32")
            if not rows.size:
                rows = np.empty((len(keys), vectors.shape[1]), np.float32)
            rows[missing[batch]] = vectors
            pending.append(missing[batch])
            if time.monotonic() - saved > SAVE_SECONDS:
                save()
                saved = time.monotonic()
    finally:
        save()
    return rows[inverse], len(missing)
