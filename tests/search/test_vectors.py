"""Vectors of norm 1."""

import numpy as np
from hierrec.search.vectors import unit_vectors
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays


@given(arrays(np.float32, (5, 3), elements=st.floats(-1e6, 1e6, width=32)))
def test_direction_stays_and_length_is_one_or_zero(vectors: np.ndarray) -> None:
    units = unit_vectors(vectors)
    lengths = np.linalg.norm(vectors.astype(np.float64), axis=1)
    assert np.allclose(np.linalg.norm(units, axis=1), lengths > 0, atol=1e-5)
    assert np.allclose(units * lengths[:, None], vectors, rtol=1e-5, atol=1e-5)
