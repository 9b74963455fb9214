"""A full disk, a read-only disk or too large a file gives one typed error and leaves the old artifact."""

import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hierrec.cli.embeddings import FORMATS
from hierrec.core.errors import MachineError
from hierrec.core.files import atomic_path, sha256_file, write_json
from hierrec.core.tables import write_table
from hierrec.encode.row_cache import RowCache
from hierrec.index.build import build_index
from hierrec.ingest import event_log
from hierrec.ingest.event_log import RowFile
from hierrec.model.checkpoint import new_model, save_model
from hierrec.rag.datastore import Datastore, Lookup
from hierrec.reuse.export import export
from hierrec.store.store import EmbeddingStore

from stages.workspace import environment, make_workspace
from tests.old_artifacts.make import TRAIN
from tests.store.stores import make_store

ROOM = 256 * 1024
FITS, TOO_MANY = 8, 40_000


def vectors(rows: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((rows, 6)).astype(np.float32)


def table(folder: Path, rows: int) -> None:
    with atomic_path(folder / "table.parquet") as temporary:
        write_table(pl.DataFrame({"a": vectors(rows).ravel()}), temporary)


def rows_of_a_cache(folder: Path, rows: int) -> None:
    keys = np.array([f"{row:064x}" for row in range(rows)], "S64")
    RowCache(folder, "key").put(keys, vectors(rows))


def datastore(folder: Path, rows: int) -> None:
    Datastore.of(
        vectors(rows),
        np.arange(rows),
        np.arange(rows),
        Lookup(shortlist=1, overlap=0, neighbours=1, following=1, preceding=0),
    ).write(folder / "datastore")


WRITERS: dict[str, Callable[[Path, int], object]] = {
    "json": lambda folder, rows: write_json(folder / "a.json", "0123456789" * rows),
    "table": table,
    "store": lambda folder, rows: (
        make_store(folder / "store", [str(row) for row in range(rows)], vectors(rows)) and None
    ),
    "index": lambda folder, rows: build_index(vectors(rows), folder / "index", "hash"),
    "datastore": datastore,
    "checkpoint": lambda folder, rows: save_model(folder / "model", new_model(TRAIN, vectors(rows)), "hash"),
    "cache": rows_of_a_cache,
}


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> dict[int, EmbeddingStore]:
    """Stores by their number of rows, on a disk with room."""
    folder = tmp_path_factory.mktemp("stores")
    return {
        rows: EmbeddingStore.open(make_store(folder / str(rows), [str(row) for row in range(rows)], vectors(rows)))
        for rows in (FITS, TOO_MANY)
    }


def mount(folder: Path, *options: str) -> None:
    """Mount or remount a small file system in memory, or skip where that is not allowed."""
    try:
        subprocess.run(["mount", "-t", "tmpfs", *options, "tmpfs", str(folder)], check=True, capture_output=True)
    except (FileNotFoundError, subprocess.CalledProcessError):
        pytest.skip("needs the right to mount a tmpfs")


@contextmanager
def mounted(folder: Path, *options: str) -> Iterator[Path]:
    folder.mkdir(parents=True)
    mount(folder, *options)
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture(params=["full disk", "file size limit"])
def little_room(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A folder in which no file of more than `ROOM` bytes can be written."""
    if request.param == "full disk":
        with mounted(tmp_path / "disk", "-o", f"size={ROOM}") as folder:
            yield folder
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM, hard))
    try:
        yield tmp_path
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def contents(folder: Path) -> dict[str, str]:
    return {str(path): sha256_file(path) for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("writer", WRITERS)
def test_what_does_not_fit_is_a_typed_error_and_changes_nothing(little_room: Path, writer: str) -> None:
    write = WRITERS[writer]
    write(little_room, FITS)
    before = contents(little_room)
    assert before
    with pytest.raises(MachineError, match=r"cannot be written \(") as caught:
        write(little_room, TOO_MANY)
    assert str(little_room) in str(caught.value)
    assert "free space" in str(caught.value.remedy)
    assert contents(little_room) == before
    assert not [path for path in little_room.rglob("*") if path.name.startswith(".")]


@pytest.mark.parametrize("form", FORMATS)
def test_an_export_that_does_not_fit_is_a_typed_error_and_the_old_one_stays(
    stores: dict[int, EmbeddingStore], little_room: Path, form: str
) -> None:
    out = little_room / "export"
    export(stores[FITS], form, out, whitened=False)
    before = contents(little_room)
    assert before
    reason = r"No space left|File too large|\d+ requested and \d+ written"  # the last is numpy's own
    with pytest.raises(MachineError, match=rf"cannot be written \(({reason})") as caught:
        export(stores[TOO_MANY], form, out, whitened=False)
    assert caught.value.where == str(out)
    assert contents(little_room) == before
    assert list(little_room.iterdir()) == [out]


def test_rows_that_do_not_fit_beside_memory_are_a_typed_error(
    little_room: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HIERREC_CACHE", str(little_room))
    monkeypatch.setattr(event_log, "_IN_MEMORY", ROOM // 2)
    rows = RowFile(np.dtype([("user", "u4"), ("item", "u4"), ("line", "i8"), ("timestamp", "i8")]))
    some = np.zeros(FITS, rows.dtype)
    rows.write(0, some)
    assert np.array_equal(rows.read(0, FITS), some)
    with pytest.raises(MachineError, match=r"cannot be written \(") as caught:
        rows.write(FITS, np.zeros(TOO_MANY, rows.dtype))
    assert str(little_room) in str(caught.value)
    assert "free space" in str(caught.value.remedy)
    assert not [path for path in little_room.rglob("*") if path.is_file()]
    with suppress(OSError):  # unwritten rows fail again
        rows._file.close()


def ingest(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "stages.ingest"]
    return subprocess.run(command, cwd=folder, env=environment(folder), capture_output=True, text=True)


def test_a_stage_on_a_full_and_on_a_read_only_disk(tmp_path: Path) -> None:
    workspace = tmp_path / "workspace"
    make_workspace(workspace)
    assert ingest(workspace).returncode == 0
    undisturbed = contents(workspace / "artifacts")
    shutil.rmtree(workspace / "artifacts")
    with mounted(workspace / "artifacts", "-o", "size=64k") as artifacts:
        for options, reason in (
            ("remount,size=64k", "No space left on device"),
            ("remount,ro", "Read-only file system"),
        ):
            mount(artifacts, "-o", options)
            done = ingest(workspace)
            assert done.returncode == 1
            lines = done.stderr.splitlines()
            assert [line.partition(":")[0].strip() for line in lines] == ["error", "what to do"]
            assert lines[0].startswith("error: artifacts/data/")
            assert reason in lines[0]
            assert not contents(artifacts)
        mount(artifacts, "-o", "remount,rw,size=16m")
        assert ingest(workspace).returncode == 0
        assert contents(artifacts) == undisturbed
        mount(artifacts, "-o", "remount,ro")
        assert ingest(workspace).returncode == 1
        assert contents(artifacts) == undisturbed
