"""An artifact is written whole or not at all."""

import fcntl
import json
from pathlib import Path

import pytest
from hierrec.errors import DataError
from hierrec.files import (
    LEFTOVER,
    atomic_directory,
    atomic_path,
    read_json,
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
    # A lock belongs to an opening of a file, so that one process can stand for two.
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
