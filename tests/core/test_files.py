"""An artifact is written whole or not at all."""

import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from hierrec.core.errors import DataError
from hierrec.core.files import (
    LEFTOVER,
    _remove_leftovers,
    atomic_directory,
    atomic_path,
    check_seal,
    read_json,
    seal,
    sha256_file,
    sha256_json,
    write_json,
)
from hypothesis import given
from hypothesis import strategies as st

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


class Killed(Exception):
    pass


def test_a_file_is_replaced_in_one_step(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "file.txt"
    for text in ("old", "new"):
        with atomic_path(path) as temporary:
            temporary.write_text(text)
            assert temporary.parent == path.parent
            assert not path.exists() or path.read_text() == "old"
        assert path.read_text() == text
    assert path.stat().st_mode & 0o777 == 0o644
    assert list(path.parent.iterdir()) == [path]


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    path.write_text("old")

    def write_half() -> None:
        with atomic_path(path) as temporary:
            temporary.write_text("half")
            raise Killed

    with pytest.raises(Killed):
        write_half()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "folder"
    for name in ("old", "new"):
        with atomic_directory(path) as temporary:
            (temporary / name).write_text(name)
        assert [file.name for file in path.iterdir()] == [name]
    assert path.stat().st_mode & 0o777 == 0o755
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_fails_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "folder"
    path.mkdir()
    (path / "old").write_text("old")

    def write_half() -> None:
        with atomic_directory(path) as temporary:
            (temporary / "new").write_text("half")
            raise Killed

    with pytest.raises(Killed):
        write_half()
    assert (path / "old").read_text() == "old"
    assert list(path.iterdir()) == [path / "old"]
    assert list(tmp_path.iterdir()) == [path]


def test_what_killed_writers_left_is_removed_by_the_next(tmp_path: Path) -> None:
    (tmp_path / f".other.json.abc{LEFTOVER}").write_text("half")
    (tmp_path / f".store.def{LEFTOVER}").mkdir()
    (tmp_path / f".store.def{LEFTOVER}" / "vectors").write_text("half")
    (tmp_path / ".download.part").write_text("of another program")
    (tmp_path / ".gitignore").write_text("kept")
    write_json(tmp_path / "a.json", 1)
    assert {path.name for path in tmp_path.iterdir()} == {"a.json", ".gitignore", ".download.part"}


def test_what_another_process_is_writing_stays(tmp_path: Path) -> None:
    # A lock belongs to an open file, so one process can act as two.
    with (
        atomic_path(tmp_path / "a.json") as file,
        atomic_directory(tmp_path / "store") as folder,
        (tmp_path / f".b.json.abc{LEFTOVER}").open("w") as other,
    ):
        fcntl.flock(other, fcntl.LOCK_EX)
        write_json(tmp_path / "c.json", 1)
        assert file.exists()
        assert folder.exists()
        assert (tmp_path / f".b.json.abc{LEFTOVER}").exists()
    write_json(tmp_path / "c.json", 2)
    assert {path.name for path in tmp_path.iterdir()} == {"a.json", "store", "c.json"}


WRITES = """
import sys
from pathlib import Path
from hierrec.core.files import atomic_directory, atomic_path
folder, number = Path(sys.argv[1]), sys.argv[2]
for turn in range(150):
    with atomic_path(folder / f"{number}.txt") as file:
        file.write_text(number)
    with atomic_path(folder / "shared.txt") as file:
        file.write_text(number)
    with atomic_directory(folder / "store") as store:
        (store / "a").write_text(number)
        (store / "b").write_text(number)
"""


def test_many_processes_write_into_one_folder(tmp_path: Path) -> None:
    """Each process removes apparent leftovers while the others write and replace the same folder."""
    command = [sys.executable, "-c", WRITES, str(tmp_path)]
    writers = [subprocess.Popen([*command, str(number)], stderr=subprocess.PIPE) for number in range(6)]
    errors = [writer.communicate()[1].decode() for writer in writers]
    assert errors == [""] * 6
    assert {path.name for path in tmp_path.iterdir()} == {
        *(f"{n}.txt" for n in range(6)),
        "shared.txt",
        "store",
    }
    assert len({(tmp_path / "store" / name).read_text() for name in "ab"}) == 1


@pytest.mark.parametrize("write", [atomic_path, atomic_directory])
def test_what_another_writer_takes_for_a_leftover_before_it_is_locked_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[Path], AbstractContextManager[Path]]
) -> None:
    lock, taken = fcntl.flock, list[str]()

    def lock_late(handle: int, operation: int) -> None:
        if not taken:
            taken.extend(path.name for path in tmp_path.iterdir())
            monkeypatch.setattr(fcntl, "flock", lock)
            _remove_leftovers(tmp_path)
        lock(handle, operation)

    monkeypatch.setattr(fcntl, "flock", lock_late)
    with write(tmp_path / "a") as temporary:
        assert len(taken) == 1
        assert temporary.name not in taken
        _remove_leftovers(tmp_path)
        assert temporary.exists()
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize("write", [atomic_path, atomic_directory])
def test_a_signal_while_the_temporary_is_made_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[Path], AbstractContextManager[Path]]
) -> None:
    def end(*_: int) -> None:
        raise SystemExit

    monkeypatch.setattr(fcntl, "flock", end)
    with pytest.raises(SystemExit), write(tmp_path / "a"):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_the_umask_decides_modes(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        write_json(tmp_path / "a.json", 1)
        with atomic_directory(tmp_path / "store") as temporary:
            (temporary / "file").write_text("")
    finally:
        os.umask(before)
    modes = [(tmp_path / name).stat().st_mode & 0o777 for name in ("a.json", "store/file", "store")]
    assert modes == [0o666 & ~umask, 0o666 & ~umask, 0o777 & ~umask]


@pytest.mark.parametrize("there", [True, False])
def test_a_linked_folder_is_replaced_where_it_lies(tmp_path: Path, there: bool) -> None:
    disk, link = tmp_path / "disk", tmp_path / "link"
    disk.mkdir()
    if there:
        (disk / "store").mkdir()
        (disk / "store" / "old").write_text("")
    link.symlink_to(disk / "store")
    with atomic_directory(link) as temporary:
        (temporary / "new").write_text("")
    assert link.is_symlink()
    assert [path.name for path in link.iterdir()] == ["new"]
    assert {path.name for path in tmp_path.iterdir()} == {"disk", "link"}
    assert {path.name for path in disk.iterdir()} == {"store"}


@pytest.mark.parametrize("name", ["with space", "new\nline", "Zażółć 映画", "[a]*?", "-x", "%s{0}"])
def test_any_name_is_written(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    for _ in range(2):
        write_json(folder / f"{name}.json", 1)
        with atomic_directory(folder / name) as temporary:
            (temporary / name).write_text("")
    (folder / f".old{LEFTOVER}").write_text("")
    write_json(folder / f"{name}.json", 2)
    assert {path.name for path in folder.iterdir()} == {name, f"{name}.json"}


@given(value=values)
def test_json_round_trip(tmp_path_factory: pytest.TempPathFactory, value: object) -> None:
    path = tmp_path_factory.getbasetemp() / "value.json"
    write_json(path, value)
    assert read_json(path) == value


def test_json_is_canonical(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"b": 1, "a": "é"})
    write_json(tmp_path / "b.json", {"a": "é", "b": 1})
    assert (tmp_path / "a.json").read_text("utf-8") == '{\n  "a": "é",\n  "b": 1\n}\n'
    assert sha256_file(tmp_path / "a.json") == sha256_file(tmp_path / "b.json")
    assert sha256_json({"b": 1, "a": 2}) == sha256_json({"a": 2, "b": 1}) != sha256_json({"a": 1, "b": 2})


def test_a_seal_holds_for_subfolders(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "file").write_text("old")
    seal(tmp_path)
    check_seal(tmp_path)
    (tmp_path / "inner" / "file").write_text("new")
    with pytest.raises(DataError, match="inner/file: content has another hash"):
        check_seal(tmp_path)


def test_json_that_cannot_be_written_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_json(path, 1)
    with pytest.raises(TypeError):
        write_json(path, object())
    assert json.loads(path.read_text()) == 1
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("content", [b"", b"{", b"\xff"])
def test_a_file_that_is_not_json_is_a_typed_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(DataError, match=r"a\.json: not JSON"):
        read_json(tmp_path / "a.json")


def test_a_path_without_a_file_is_a_typed_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "absent.json", tmp_path / "file" / "below.json"):
        with pytest.raises(DataError, match="file is missing"):
            read_json(path)
    with pytest.raises(DataError, match="cannot be read"):
        read_json(tmp_path)
