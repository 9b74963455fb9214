"""The growth bench: a realistic catalogue, and every figure from the quick run."""

import os
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hierrec.core.files import read_json

from bench.growth.catalogue import BATCH, texts, write_vectors
from bench.growth.run import main
from bench.growth.settings import load_settings


def test_vectors_are_those_of_their_seed_and_come_in_clusters(tmp_path: Path) -> None:
    settings = load_settings(quick=True)
    vectors, again = (write_vectors(tmp_path / name, 3883, 128, settings.seed, settings.catalogue) for name in "ab")
    rows = vectors[:]
    assert rows.shape == vectors.shape == (3883, 128)
    assert np.array_equal(rows, again[:])
    assert np.array_equal(vectors[np.array([5, 3000])], rows[[5, 3000]])
    assert np.array_equal(vectors[10:20], rows[10:20])
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    cosines = np.sort(unit[:300] @ unit.T, axis=1)[:, ::-1]
    # Whitened vectors of MovieLens-1M: .54 to the nearest, .27 to the 20th.
    assert 0.45 < np.median(cosines[:, 1]) < 0.7
    assert 0.2 < np.median(cosines[:, 20]) < 0.45


def test_batches_join(tmp_path: Path) -> None:
    vectors = write_vectors(tmp_path / "v", BATCH + 7, 2, 1, load_settings(quick=True).catalogue)
    assert (tmp_path / "v").stat().st_size == 8 * (BATCH + 7)
    assert vectors[BATCH:].shape == (7, 2)
    assert np.isfinite(vectors[:]).all()


def test_texts_differ_and_are_those_of_their_seed() -> None:
    found = texts(200, 1000, seed=1)
    assert len(set(found)) == 200
    assert found == texts(200, 1000, seed=1)
    assert found != texts(200, 1000, seed=2)


@pytest.mark.usefixtures("shared_imports")
def test_the_quick_run_fills_every_figure(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["--quick", "--out", str(tmp_path)], catch_exceptions=False)
    assert result.exit_code == 0
    results = read_json(tmp_path / "growth.json")
    assert list(results["items"]) == ["2000"]
    measured = results["items"]["2000"]
    assert measured["encode"]["cpu_s_per_1000"] > 0
    assert set(measured["index"]) == {"flat", "ivf", "hnsw", "ivf_pq"}
    assert measured["index"]["flat"]["recall_at_20"] == 1
    for index in measured["index"].values():
        assert index["recall_at_20"] >= 0.9
        assert index["memory_peak_mb"] >= index["memory_before_mb"] > 0
    residual, none = measured["train"]["residual_128"], measured["train"]["residual_0"]
    assert residual["parameters_mb"] == pytest.approx(none["parameters_mb"] + 2000 * 128 * 4 / 2**20, rel=0.2)
    assert measured["machine"]["cores"] == os.cpu_count()
    assert "<svg" in (tmp_path / "growth.svg").read_text("utf-8")
