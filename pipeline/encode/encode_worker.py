"""What a worker of Ray does: a block of texts in, their vectors or a typed error out."""

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ..core import errors
from ..core.errors import HierrecError, ModelError
from .encoder import ItemEncoder

REMEDY = "install the same release and the same model there"


@dataclass(frozen=True)
class WorkerSettings:
    """What a worker needs to know; no file of the machine that asks.

    Attributes:
        model, revision, max_length, device: as in ``ItemEncoder.load``.
        fingerprint: what the encoder must have there too.
        batch_tokens: as in ``ItemEncoder.batches``.
        threads: that torch computes with, since their number may change vectors by rounding.
    """

    model: str
    revision: str | None
    max_length: int
    device: str
    fingerprint: str
    batch_tokens: int
    threads: int


class EncodeWorker:
    """An actor of Ray Data: its encoder is loaded once."""

    def __init__(self, settings: WorkerSettings) -> None:
        self._settings = settings
        self._encoder: ItemEncoder | None = None

    def __call__(self, block: pa.Table) -> pa.Table:
        """Encode a block of texts (columns place, text, name).

        A typed error is an answer, so that it arrives as what it is and is not tried again.

        Returns:
            One row: places (int64) and vectors (float32, `width` numbers each) as bytes; or the error as JSON.
        """
        places = block["place"].to_numpy()
        try:
            vectors = self._encode(block["text"].to_pylist(), block["name"].to_pylist())
        except HierrecError as error:
            return _answer(b"", b"", 0, pack_error(error))
        return _answer(places.tobytes(), vectors.tobytes(), vectors.shape[1], None)

    def _encode(self, texts: list[str], names: list[str]) -> NDArray[np.float32]:
        if self._encoder is None:
            self._encoder = self._load()
        return self._encoder.encode(texts, self._settings.batch_tokens, names)

    def _load(self) -> ItemEncoder:
        import torch

        settings = self._settings
        torch.set_num_threads(settings.threads)
        encoder = ItemEncoder.load(settings.model, settings.revision, settings.max_length, settings.device)
        if encoder.fingerprint != settings.fingerprint:
            raise ModelError("a worker of Ray has another model under that name", encoder.files.place, REMEDY)
        return encoder


def _answer(places: bytes, vectors: bytes, width: int, error: str | None) -> pa.Table:
    return pa.table(
        {
            "places": pa.array([places], pa.large_binary()),
            "vectors": pa.array([vectors], pa.large_binary()),
            "width": [width],
            "error": pa.array([error], pa.string()),
        }
    )


def unpack(row: dict[str, Any]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return places int64 [b] and vectors float32 [b, d] of a worker's answer, or raise the error that it is."""
    if row["error"] is not None:
        raise unpack_error(row["error"])
    vectors = np.frombuffer(row["vectors"], np.float32).reshape(-1, row["width"])
    return np.frombuffer(row["places"], np.int64), vectors


def pack_error(error: HierrecError) -> str:
    """Return a typed error as JSON."""
    return json.dumps([type(error).__name__, error.what, error.where, error.remedy])


def unpack_error(text: str) -> HierrecError:
    """Return the typed error that was packed."""
    kind, *words = json.loads(text)
    return getattr(errors, kind)(*words)
