"""Whitening: centring and PCA give directions of equal variance, so that no direction dominates dot products."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from ..core.errors import NumericalError, StoreError
from .store_files import REMEDY, WHITENING, check_present, check_shape
from .vectors import CHUNK, Vectors

ITEMS_OF_DIMENSION = 5  # items for each whitened dimension: with fewer, whitened vectors come near to being orthogonal
FEW = 8  # most dimensions for fewer than 40 items; also at most half the number of items
RELATIVE_FLOOR = 1e-9  # share of the largest variance below which a direction is rounding noise of float32 vectors


@dataclass(frozen=True)
class Whitening:
    """The affine map `(x - mean) @ projection`, fitted on item vectors."""

    mean: NDArray[np.float32]  # float32 [d]
    projection: NDArray[np.float32]  # float32 [d, w]; a column of zeros stands for a direction without variance

    @classmethod
    def fit(cls, vectors: NDArray[np.float32], dimension: int | None) -> "Whitening":
        """Fit PCA whitening in float64; each direction's largest component is made positive.

        Args:
            vectors: float32 [n, d].
            dimension: most principal directions, each scaled to variance 1. w is also at most d and n / 5 (with fewer
                than 40 items, at most 8 and n / 2 instead of n / 5). None: centring only, w = d.

        Raises ``NumericalError`` if a vector is not finite.
        """
        count, width = vectors.shape
        mean = np.asarray(vectors.mean(axis=0, dtype=np.float64))  # [d]
        if not np.isfinite(mean).all():
            raise NumericalError("a vector to be whitened is not finite", "whitening", "encode again")
        if dimension is None:
            projection = np.eye(width)
        else:
            enough = max(min(FEW, count // 2), count // ITEMS_OF_DIMENSION)
            there = max(1, min(dimension, enough, width))
            projection = _principal_directions(_covariance(vectors, mean), there)
        return cls(mean.astype(np.float32), projection.astype(np.float32))

    @classmethod
    def joined(cls, parts: Sequence["Whitening"]) -> "Whitening":
        """Return one map for concatenated vectors; each part of a vector is mapped by its own map."""
        shapes = np.array([part.projection.shape for part in parts])  # [p, 2]
        projection = np.zeros(shapes.sum(0), np.float32)
        for part, (row, column) in zip(parts, np.cumsum(shapes, 0) - shapes, strict=True):
            height, width = part.projection.shape
            projection[row : row + height, column : column + width] = part.projection
        return cls(np.concatenate([part.mean for part in parts]), projection)

    def apply(self, vectors: Vectors) -> NDArray[np.float32]:
        """Return whitened vectors, float32 [n, w], of vectors float32 [n, d]."""
        whitened = np.empty((len(vectors), self.projection.shape[1]), np.float32)
        mean, projection = self.mean.astype(np.float64), self.projection.astype(np.float64)
        for start in range(0, len(vectors), CHUNK):
            rows = slice(start, start + CHUNK)
            whitened[rows] = (vectors[rows] - mean) @ projection
        return whitened

    def fill_missing(self, vectors: NDArray[np.float32], fields: Sequence[Sequence[str]]) -> None:
        """Give items without text the mean vector: whitened, it is zero, which is similar to no item.

        Args:
            vectors: float32 [n, d], the vectors of all fields side by side; changed in place.
            fields: n texts for each field; a text is empty where an item has none.
        """
        width = len(self.mean) // len(fields)
        for number, texts in enumerate(fields):
            columns = slice(number * width, (number + 1) * width)
            vectors[[not text for text in texts], columns] = self.mean[columns]

    def save(self, path: Path) -> None:
        """Write `mean` and `projection` as safetensors."""
        path.write_bytes(save_tensors({"mean": self.mean, "projection": self.projection}))

    @classmethod
    def of_store(cls, folder: Path, manifest: dict[str, Any]) -> "Whitening":
        """Read a store's whitening; raise ``StoreError`` if it is missing, damaged, not finite, or of another shape."""
        path, shape = folder / WHITENING, (manifest["dimension"], manifest["whitened_dimension"])
        check_present(path)
        try:
            tensors = load_tensors(path.read_bytes())
            mean, projection = tensors["mean"], tensors["projection"]
        except (SafetensorError, KeyError) as error:
            raise StoreError(f"not a whitening map: {error}", str(path), REMEDY) from None
        check_shape(path, projection.shape, shape)
        check_shape(path, mean.shape, shape[:1])
        if {mean.dtype, projection.dtype} != {np.dtype(np.float32)}:
            raise StoreError("the whitening map is not float32", str(path), REMEDY)
        if not (np.isfinite(mean).all() and np.isfinite(projection).all()):
            raise StoreError("a number of the whitening map is not finite", str(path), REMEDY)
        return cls(mean, projection)


@dataclass(frozen=True)
class WhitenedVectors(Vectors):
    """Whitened vectors, float32 [n, w]; rows of `vectors`, float32 [n, d], are whitened on demand."""

    whitening: Whitening
    vectors: Vectors

    @property
    def shape(self) -> tuple[int, int]:
        """Number of vectors and their width."""
        return self.vectors.shape[0], self.whitening.projection.shape[1]

    def __getitem__(self, rows: int | slice | NDArray[np.int64] | list[int]) -> NDArray[np.float32]:
        """Return one row, float32 [w], or several, float32 [m, w]."""
        one = isinstance(rows, int | np.integer)
        whitened = self.whitening.apply(self.vectors[[rows] if one else rows])
        return whitened[0] if one else whitened


def _covariance(vectors: NDArray[np.float32], mean: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the covariance [d, d] of vectors [n, d] about their mean [d]."""
    scatter = np.zeros((len(mean), len(mean)))
    for start in range(0, len(vectors), CHUNK):
        centred = vectors[start : start + CHUNK] - mean
        scatter += centred.T @ centred
    return scatter / max(1, len(vectors) - 1)


def _principal_directions(covariance: NDArray[np.float64], dimension: int) -> NDArray[np.float64]:
    """Return the first principal directions as columns [d, w], scaled so that each has variance 1."""
    variance, directions = np.linalg.eigh(covariance)  # ascending
    variance, directions = variance[::-1][:dimension], directions[:, ::-1][:, :dimension]
    # The sign of an eigenvector is arbitrary; without this it would differ between LAPACK builds.
    largest = np.abs(directions).argmax(0)
    directions = directions * np.sign(directions[largest, np.arange(dimension)])
    with_variance = variance > RELATIVE_FLOOR * max(variance[0], np.finfo(np.float32).tiny)
    scale = np.where(with_variance, 1 / np.sqrt(np.where(with_variance, variance, 1)), 0)
    return directions * scale
