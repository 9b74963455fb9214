"""Artifacts with any damage, signed as if they were sound: read, or refused with a typed error, never a crash."""

import contextlib
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hierrec.errors import HierrecError
from hierrec.evaluation.ranks import load_ranks
from hierrec.files import sha256_file
from hierrec.params import load_params
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.evaluation.tables import ranks_table
from tests.old_artifacts.readings import READINGS

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
"""What reads each file of numbers."""

DOCUMENTS = {
    "store/manifest.json": "whitened",
    "index/manifest.json": "nearest",
    "hierarchical/config.json": "hierarchical",
    "rag/config.json": "rag",
    "rag/base/config.json": "rag",
}

values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.floats(-2, 2),
    st.sampled_from(["", "x", "../x", [], {}, [1]]),
)
fuzz = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(OLD, tmp_path / "artifacts"))


@contextlib.contextmanager
def spoilt(path: Path, content: bytes) -> Iterator[None]:
    """Replace a file, and its hash in the manifest beside it, for as long as the block takes."""
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


@fuzz
@pytest.mark.parametrize("name", READERS)
@given(data=st.data())
def test_no_bytes_crash_a_reader(folder: Path, name: str, data: st.DataObject) -> None:
    path = folder / name
    with spoilt(path, damaged(path.read_bytes(), data)), contextlib.suppress(HierrecError):
        READINGS[READERS[name]](folder)


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
        READINGS[DOCUMENTS[name]](folder)


@fuzz
@given(content=st.binary(max_size=40) | values.map(lambda value: json.dumps(value).encode()))
@pytest.mark.parametrize("name", DOCUMENTS)
def test_no_other_document_is_taken_for_one(folder: Path, name: str, content: bytes) -> None:
    with spoilt(folder / name, content), pytest.raises(HierrecError):
        READINGS[DOCUMENTS[name]](folder)


@fuzz
@given(data=st.data())
def test_no_bytes_crash_the_reader_of_ranks(tmp_path: Path, data: st.DataObject) -> None:
    from hierrec.data.tables import write_table

    path = tmp_path / "ranks.parquet"
    write_table(ranks_table([1.0, None, 3.5]), path)
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


@pytest.mark.parametrize("kind", ["flat", "ivf", "hnsw", "ivf_pq"])
def test_no_bytes_crash_faiss(kind: str) -> None:
    command = [sys.executable, "-m", "tests.reliability.fuzz_index", kind, "120"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    outcomes = json.loads(done.stdout.splitlines()[-1])
    assert set(outcomes) <= {"read", "refused"}, done.stdout
    assert outcomes["refused"] > 20
