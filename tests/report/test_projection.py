"""The map: the same for the same vectors, neighbours stay neighbours, and few vectors suffice."""

import numpy as np
import pytest
from hierrec.report.items import SIDE, project


def clusters() -> np.ndarray:
    """Two distant clusters of 40 vectors."""
    generator = np.random.default_rng(0)
    centres = np.repeat(np.eye(8, dtype=np.float32)[:2] * 5, 40, axis=0)
    return centres + generator.standard_normal(centres.shape).astype(np.float32) / 4


def test_similar_vectors_lie_together() -> None:
    places = project(clusters()).astype(float)
    distances = np.linalg.norm(places[:, None] - places[None], axis=-1)
    np.fill_diagonal(distances, np.inf)
    assert (distances.argmin(1) // 40 == np.arange(80) // 40).all()


def test_the_same_vectors_give_the_same_map() -> None:
    assert np.array_equal(project(clusters()), project(clusters()))


@pytest.mark.parametrize(("count", "width"), [(1, 4), (2, 4), (3, 4), (4, 4), (5, 2), (9, 1)])
def test_it_fills_the_square_and_never_leaves_it(count: int, width: int) -> None:
    vectors = np.random.default_rng(1).standard_normal((count, width)).astype(np.float32)
    places = project(vectors)
    assert places.shape == (count, 2)
    assert places.min() >= 0
    assert places.max() <= SIDE


def test_equal_and_zero_vectors_have_a_place() -> None:
    places = project(np.zeros((12, 4), np.float32))
    assert ((places >= 0) & (places <= SIDE)).all()
