"""Item vectors on disk: `vectors.npy`, or `skipped.json` with the reason why they are missing."""

from pathlib import Path

import numpy as np
from hierrec.core.files import atomic_directory, read_json, write_json
from numpy.typing import NDArray

VECTORS = "vectors.npy"
SKIPPED = "skipped.json"


def write_vectors(folder: Path, vectors: NDArray[np.float32] | str) -> None:
    """Write vectors float32 [n, d], or the reason why they are skipped."""
    with atomic_directory(folder) as temporary:
        if isinstance(vectors, str):
            write_json(temporary / SKIPPED, {"skipped": vectors})
        else:
            np.save(temporary / VECTORS, vectors, allow_pickle=False)


def read_vectors(folder: Path) -> NDArray[np.float32] | str:
    """Return the vectors or the reason that ``write_vectors`` wrote."""
    if (folder / SKIPPED).is_file():
        return read_json(folder / SKIPPED)["skipped"]
    return np.load(folder / VECTORS, allow_pickle=False)
