"""Damaged artifacts with matching hashes are read, or refused with a typed error; no reader crashes."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hierrec.core.errors import CheckpointError, HierrecError
from hierrec.core.files import sha256_file
from hierrec.core.tables import write_table
from hierrec.evaluation.ranks import load_ranks
from hierrec.model.checkpoint import load_model
from hierrec.params import load_params
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.printed import last_object
from tests.evaluation.tables import ranks_table
from tests.old_artifacts.readings import READINGS, store

ROOT = Path(__file__).parents[2]
OLD = ROOT / "tests" / "old_artifacts" / "version_2"

READERS = {
    "store/embeddings.npy": "whitened",
    "store/items.parquet": "whitened",
    "store/embeddings.parquet": "whitened",
    "store/whitening.safetensors": "whitened",
    "hierarchical/model.safetensors": "hierarchical",
    "rag/fusion.safetensors": "rag",
    "rag/datastore/keys.npy": "rag",
    "rag/datastore/entries.parquet": "rag",
}
"""Reading of each file of numbers."""

DOCUMENTS = {
    "store/manifest.json": "whitened",
    "index/manifest.json": "nearest",
    "hierarchical/config.json": "load hierarchical",
    "rag/config.json": "rag",
    "rag/base/config.json": "load rag/base",
}


def load(folder: Path, model: str) -> None:
    """Load a sequence model without using it: for some accepted configs torch raises its own errors."""
    embeddings = store(folder)
    load_model(folder / model, embeddings.whitened(), embeddings.hash)


def read(reading: str, folder: Path) -> None:
    verb, _, model = reading.partition(" ")
    load(folder, model) if model else READINGS[verb](folder)


def refusal(reading: str, folder: Path) -> str:
    """Read; return the message if that is refused, else nothing."""
    try:
        read(reading, folder)
    except HierrecError as error:
        return str(error)
    return ""


values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.floats(-2, 2),
    st.sampled_from(["", "x", "../x", [], {}, [1]]),
)
fuzz = settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(OLD, tmp_path / "artifacts"))


@contextlib.contextmanager
def spoilt(path: Path, content: bytes) -> Iterator[None]:
    """Replace a file, and its hash in the manifest beside it, during the block."""
    manifest = path.with_name("manifest.json")
    before = {file: file.read_bytes() for file in (path, manifest) if file.is_file()}
    path.write_bytes(content)
    if manifest.is_file() and manifest != path:
        document = json.loads(before[manifest])
        document["files"][path.name] = sha256_file(path)
        manifest.write_text(json.dumps(document), "utf-8")
    try:
        yield
    finally:
        for file, old in before.items():
            file.write_bytes(old)


def damaged(content: bytes, data: st.DataObject) -> bytes:
    """Replace up to four bytes somewhere by up to four others, or cut the rest off."""
    at = data.draw(st.integers(0, len(content) - 1))
    new, gone = data.draw(st.binary(max_size=4)), data.draw(st.integers(0, 4))
    return content[:at] + new + (b"" if data.draw(st.integers(0, 9)) == 0 else content[at + gone :])


def places(node: Any) -> Iterator[tuple[Any, Any]]:
    """Yield every container of a JSON document with each of its keys."""
    keys = list(node) if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else []
    for key in keys:
        yield node, key
        yield from places(node[key])


@pytest.mark.parametrize("reading", sorted({*READERS.values(), *DOCUMENTS.values()}))
def test_what_is_not_damaged_is_read(folder: Path, reading: str) -> None:
    """So the readers below refuse what they refuse because it is damaged."""
    read(reading, folder)
    load_params(ROOT / "params.yaml")


@fuzz
@pytest.mark.parametrize("name", READERS)
@given(data=st.data())
def test_no_bytes_crash_a_reader(folder: Path, name: str, data: st.DataObject) -> None:
    path = folder / name
    with spoilt(path, damaged(path.read_bytes(), data)):
        assert "another hash" not in refusal(READERS[name], folder)  # the content was read, not only hashed


@fuzz
@pytest.mark.parametrize("name", DOCUMENTS)
@given(data=st.data())
def test_no_value_crashes_a_reader_of_json(folder: Path, name: str, data: st.DataObject) -> None:
    path = folder / name
    document = json.loads(path.read_text("utf-8"))
    container, key = data.draw(st.sampled_from(list(places(document))))
    if isinstance(container, dict) and data.draw(st.booleans()):
        del container[key]
    else:
        container[key] = data.draw(values)
    with spoilt(path, json.dumps(document).encode()), contextlib.suppress(HierrecError):
        read(DOCUMENTS[name], folder)


@fuzz
@given(content=st.binary(max_size=40) | values.map(lambda value: json.dumps(value).encode()))
@pytest.mark.parametrize("name", DOCUMENTS)
def test_no_other_document_is_taken_for_one(folder: Path, name: str, content: bytes) -> None:
    with spoilt(folder / name, content), pytest.raises(HierrecError):
        read(DOCUMENTS[name], folder)


@fuzz
@given(data=st.data())
def test_no_bytes_crash_the_reader_of_ranks(tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "ranks.parquet"
    write_table(ranks_table([1.0, None, 3.5]), path)
    load_ranks(path)
    path.write_bytes(damaged(path.read_bytes(), data))
    with contextlib.suppress(HierrecError):
        load_ranks(path)


@fuzz
@given(data=st.data())
def test_no_bytes_crash_the_reader_of_params(tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "params.yaml"
    path.write_bytes(damaged((ROOT / "params.yaml").read_bytes(), data))
    with contextlib.suppress(HierrecError):
        load_params(path)


def test_a_datastore_of_items_that_there_are_not_is_refused(folder: Path) -> None:
    path = folder / "rag" / "datastore" / "entries.parquet"
    entries = pl.read_parquet(path)
    entries.with_columns(pl.lit(12, pl.Int32).alias("next_item")).write_parquet(path)
    with pytest.raises(CheckpointError, match="user 0 has another history"):
        read("rag", folder)


def test_a_datastore_of_states_of_another_width_is_refused(folder: Path) -> None:
    path = folder / "rag" / "datastore" / "keys.npy"
    np.save(path, np.load(path, allow_pickle=False)[:, :-1])
    with pytest.raises(CheckpointError, match=r"keys of width \d+ do not fit states of width \d+"):
        read("rag", folder)


@pytest.mark.parametrize("kind", ["flat", "ivf", "hnsw", "ivf_pq"])
def test_no_bytes_crash_faiss(kind: str) -> None:
    command = [sys.executable, "-m", "tests.reliability.fuzz_index", kind, "120"]
    alone = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
    }  # a fork of a process with OpenMP's threads may wait forever
    done = subprocess.run(command, cwd=ROOT, env=alone, capture_output=True, timeout=300)
    assert done.returncode == 0, (done.stdout + done.stderr).decode()
    outcomes = last_object(done.stdout)
    assert set(outcomes) <= {"read", "refused"}, done.stdout
    assert outcomes["refused"] > 20
