"""All problems of a store, file by file, with the row if it is known."""

import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hierrec.core.files import read_json, write_json
from hierrec.reuse.diagnosis import diagnose

from tests.store.stores import make_store

VECTORS = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
FILES = ("embeddings.npy", "items.parquet", "embeddings.parquet", "whitening.safetensors")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_store(tmp_path / "store", list("abcde"), VECTORS)


def problems(folder: Path) -> list[str]:
    return [f"{Path(str(problem.where)).name}: {problem.what}" for problem in diagnose(folder)]


def test_a_whole_store_has_no_problems(folder: Path) -> None:
    assert diagnose(str(folder)) == []


def test_all_that_is_missing_is_named(folder: Path) -> None:
    for name in FILES:
        (folder / name).unlink()
    assert problems(folder) == [f"{name}: file is missing" for name in FILES]
    (folder / "manifest.json").unlink()
    assert problems(folder) == ["manifest.json: file is missing"]
    shutil.rmtree(folder)
    assert problems(folder) == ["manifest.json: file is missing"]


def test_the_row_of_a_changed_vector_is_named(folder: Path) -> None:
    vectors = VECTORS.copy()
    vectors[3, 1] += 1
    np.save(folder / "embeddings.npy", vectors)
    assert problems(folder) == [
        "embeddings.npy: content has another hash than manifest.json says",
        "embeddings.parquet, row 3: embedding is not that of embeddings.npy",
    ]


def test_every_file_is_looked_into(folder: Path) -> None:
    items = pl.read_parquet(folder / "items.parquet").with_columns(text=pl.lit("Film c."))
    items.write_parquet(folder / "items.parquet")
    np.save(folder / "embeddings.npy", VECTORS[:3])
    (folder / "whitening.safetensors").write_bytes(b"x" * 100)
    found = problems(folder)
    assert "embeddings.npy: shape (3, 4), but manifest.json says (5, 4)" in found
    assert "items.parquet, row 0: text_hash is not the hash of text" in found
    assert any(line.startswith("whitening.safetensors: not a whitening map") for line in found)
    assert sum("another hash" in line for line in found) == 3


@pytest.mark.parametrize("column", ["item_id", "text", "text_hash"])
def test_a_missing_value_is_named(folder: Path, column: str) -> None:
    missing = pl.when(pl.col("row") == 2).then(None).otherwise(column).alias(column)
    items = pl.read_parquet(folder / "items.parquet").with_columns(missing)
    items.write_parquet(folder / "items.parquet")
    assert f"items.parquet, row 2: column {column} has no value" in problems(folder)


def test_files_of_another_store_do_not_fit(folder: Path, tmp_path: Path) -> None:
    other = make_store(tmp_path / "other", list("abcdf"), VECTORS)
    shutil.copy(other / "items.parquet", folder)
    assert problems(folder) == [
        "items.parquet: content has another hash than manifest.json says",
        "items.parquet: item ids are not those of manifest.json",
    ]


def test_another_version_is_refused_with_the_way_to_rebuild(folder: Path) -> None:
    path = folder / "manifest.json"
    write_json(path, {**read_json(path), "schema_version": 7})
    (problem,) = diagnose(folder)
    assert problem.what == "schema version 7; this program reads versions 1 and 2"
    assert "`dvc repro`" in str(problem.remedy)


@pytest.mark.parametrize("name", FILES)
def test_any_damage_is_a_problem_and_no_crash(folder: Path, name: str) -> None:
    content = (folder / name).read_bytes()
    generator = np.random.default_rng(7)
    damaged = [content[: len(content) // 2], b"", content + b"x"]
    for place in generator.integers(0, len(content), 20):
        damaged.append(content[:place] + bytes([content[place] ^ 255]) + content[place + 1 :])
    for bad in damaged:
        (folder / name).write_bytes(bad)
        assert f"{name}: content has another hash than manifest.json says" in problems(folder)
