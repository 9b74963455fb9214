"""The space of the targets: the teacher's vectors, centred, on their first principal axes."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Target:
    """Maps teacher vectors [n, 384] to targets [n, d]; distances stay, up to the axes left out."""

    mean: np.ndarray
    axes: np.ndarray

    @classmethod
    def fit(cls, vectors: np.ndarray, dimension: int) -> "Target":
        """Fit to teacher vectors [n, 384]."""
        mean = vectors.mean(0, dtype=np.float64)
        centred = vectors - mean.astype(np.float32)
        values, axes = np.linalg.eigh((centred.T @ centred).astype(np.float64) / len(vectors))
        print(f"{values[-dimension:].sum() / values.sum():.4f} of the variance is kept")
        return cls(mean.astype(np.float32), axes[:, ::-1][:, :dimension].astype(np.float32))

    @classmethod
    def align(cls, vectors: np.ndarray, students: np.ndarray) -> "Target":
        """Find the space in which a student's vectors [n, d] lie, from the teacher's [n, 384] of the same texts.

        The axes are the orthogonal Procrustes solution (Schoenemann 1966).
        """
        theirs, ours = vectors.mean(0, dtype=np.float64), students.mean(0, dtype=np.float64)
        left, _, right = np.linalg.svd((vectors - theirs).T @ (students - ours), full_matrices=False)
        axes = left @ right  # [384, d]
        scale = ((vectors - theirs) @ axes).std() / (students - ours).std()
        return cls((theirs - scale * axes @ ours).astype(np.float32), axes.astype(np.float32))

    def __call__(self, vectors: np.ndarray) -> np.ndarray:
        """Map teacher vectors to targets: float32 [n, d]."""
        return (vectors - self.mean) @ self.axes

    def save(self, path: Path) -> None:
        """Write an npz file."""
        np.savez(path, mean=self.mean, axes=self.axes)

    @classmethod
    def load(cls, path: Path) -> "Target":
        """Read what `save` wrote."""
        with np.load(path) as file:
            return cls(file["mean"], file["axes"])
