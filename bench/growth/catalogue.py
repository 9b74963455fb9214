"""Generate a catalogue: vectors in clusters of power-law sizes, and texts of invented films."""

from pathlib import Path

import numpy as np
from hierrec.core.files import atomic_path
from hierrec.store.vectors import Vectors
from numpy.typing import NDArray

from bench.growth.settings import CatalogueSettings

BATCH = 65_536
WORDS = ["night", "love", "war", "last", "dead", "city", "man", "house", "blood", "king", "lost", "road"]
GENRES = ["Action", "Comedy", "Drama", "Horror", "Musical", "Romance", "Sci-Fi", "Thriller", "War", "Western"]


class FileVectors(Vectors):
    """Float32 [n, d] in a file, read on access; a memory map would count as memory of the process."""

    def __init__(self, path: Path, count: int, dimension: int) -> None:
        self.path, self._shape = path, (count, dimension)

    @property
    def shape(self) -> tuple[int, int]:
        """Number of vectors and their width."""
        return self._shape

    def __getitem__(self, rows: int | slice | NDArray[np.int64] | list[int]) -> NDArray[np.float32]:
        """Return one row, float32 [d], or several, float32 [m, d]."""
        count, width = self.shape
        if isinstance(rows, int):
            return self[[rows]][0]
        if isinstance(rows, slice):
            start, stop, _ = rows.indices(count)
            read = np.fromfile(self.path, np.float32, (stop - start) * width, offset=4 * start * width)
            return read.reshape(-1, width)
        return np.stack([np.fromfile(self.path, np.float32, width, offset=4 * int(row) * width) for row in rows])


def write_vectors(path: Path, count: int, dimension: int, seed: int, settings: CatalogueSettings) -> FileVectors:
    """Generate the vectors of a catalogue, a batch at a time."""
    generator = np.random.default_rng([seed, count])
    clusters = max(1, round(settings.clusters * count**settings.growth))
    topics = settings.topic_scale * generator.standard_normal((settings.topics, dimension), np.float32)
    centres = settings.cluster_scale * generator.standard_normal((clusters, dimension), np.float32)  # [c, d]
    centres += topics[generator.integers(settings.topics, size=clusters)]
    shares = np.arange(1, clusters + 1) ** -settings.power  # [c]
    until = (shares / shares.sum()).cumsum()
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        for start in range(0, count, BATCH):
            rows = min(BATCH, count - start)
            cluster = np.minimum(np.searchsorted(until, generator.random(rows)), clusters - 1)  # [rows]
            items = settings.item_scale * generator.standard_normal((rows, dimension), np.float32)
            (centres[cluster] + items).tofile(file)
    return FileVectors(path, count, dimension)


def texts(count: int, catalogue: int, seed: int) -> list[str]:
    """Return different texts for `count` random items of a catalogue of `catalogue` items."""
    generator = np.random.default_rng([seed, catalogue])
    rows = generator.choice(catalogue, count, replace=False)
    result = []
    for row in rows:
        words = " ".join(generator.choice(WORDS, generator.integers(1, 6)))
        genres = ", ".join(generator.choice(GENRES, generator.integers(1, 4), replace=False))
        result.append(f"{words.title()} {row} ({generator.integers(1930, 2001)}). Genres: {genres}.")
    return result
