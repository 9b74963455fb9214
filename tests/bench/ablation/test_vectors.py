"""Item vectors of the encoders that are compared."""

from pathlib import Path

import numpy as np

from bench.ablation.vector_files import read_vectors, write_vectors
from bench.ablation.vectors import vectors_of

TEXTS = ["The Matrix (1999). Genres: Action.", "Heat (1995). Genres: Crime.", ""]


def encoded_by(model: str) -> np.ndarray:
    encoder = {"model": model, "revision": None, "max_length": 32, "batch_tokens": 256}
    vectors = vectors_of({"encoder": encoder, "texts": TEXTS})
    assert isinstance(vectors, np.ndarray)
    return vectors


def test_none_has_no_width_and_random_tells_items_apart() -> None:
    assert encoded_by("none").shape == (3, 0)
    assert len(np.unique(encoded_by("random"), axis=0)) == 3
    assert np.array_equal(encoded_by("random"), encoded_by("random"))


def test_the_untrained_encoder_has_the_shape_of_t5_nano_and_other_weights() -> None:
    trained, untrained = encoded_by("t5-nano"), encoded_by("untrained")
    assert untrained.shape == trained.shape
    assert np.isfinite(untrained).all()
    assert not np.allclose(untrained, trained, atol=0.1)
    assert np.array_equal(untrained, encoded_by("untrained"))


def test_vectors_are_read_as_written(tmp_path: Path) -> None:
    for vectors in (encoded_by("random"), encoded_by("none")):
        write_vectors(tmp_path / "vectors", vectors)
        read = read_vectors(tmp_path / "vectors")
        assert isinstance(read, np.ndarray)
        assert np.array_equal(read, vectors)


def test_the_reason_of_skipped_vectors_is_handed_on(tmp_path: Path) -> None:
    reason = vectors_of({"skipped": "no such thing"})
    write_vectors(tmp_path / "vectors", reason)
    assert read_vectors(tmp_path / "vectors") == "no such thing"
