import contextlib
import zipfile
from pathlib import Path
from typing import NamedTuple

import pytest
from hierrec.core.errors import DataError
from hierrec.ingest import archive as archives
from hierrec.ingest.archive import open_archive
from hierrec.ingest.csv_files import decoded
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.ingest.archives import FILES, write_archive

NAMES = tuple(FILES)


class Member(NamedTuple):
    """A file of an archive."""

    place: str
    text: str


def read_members(path: Path, names: tuple[str, ...]) -> dict[str, Member]:
    with open_archive(path) as archive:
        found = {}
        for name, source in zip(names, archive.sources(names), strict=True):
            with source.open() as file:
                found[name] = Member(source.place, decoded(source.place, file.read(), "latin-1"))
        return found


def test_members_are_read_whatever_else_lies_in_the_archive(tmp_path: Path) -> None:
    path = write_archive(tmp_path / "a.zip", {**FILES, "README": b"\x00\xff", "sub/notes.txt": b"x"}, "any/depth/")
    members = read_members(path, NAMES)
    assert {name: member.text.encode("latin-1") for name, member in members.items()} == FILES
    assert members["movies.dat"].place == f"{path}, any/depth/movies.dat"


def test_members_may_lie_in_the_root(tmp_path: Path) -> None:
    assert set(read_members(write_archive(tmp_path / "a.zip", folder=""), NAMES)) == set(FILES)


def test_windows_line_ends_are_read_as_plain_ones(tmp_path: Path) -> None:
    files = {name: content.replace(b"\n", b"\r\n") for name, content in FILES.items()}
    texts = {name: m.text for name, m in read_members(write_archive(tmp_path / "a.zip", files), NAMES).items()}
    assert texts == {name: content.decode("latin-1") for name, content in FILES.items()}


def test_reading_extracts_nothing(archive: Path) -> None:
    before = sorted(archive.parent.rglob("*"))
    read_members(archive, NAMES)
    assert sorted(archive.parent.rglob("*")) == before


@pytest.mark.parametrize("name", ["../evil.txt", "ml-1m/../../evil.txt", "/etc/evil", "C:\\evil", "..\\evil"])
def test_a_name_that_points_outside_is_refused(tmp_path: Path, name: str) -> None:
    path = write_archive(tmp_path / "a.zip")
    with zipfile.ZipFile(path, "a") as opened:
        opened.writestr(name, b"x")
    with pytest.raises(DataError, match="points outside"):
        read_members(path, NAMES)


def test_members_must_lie_in_one_folder(tmp_path: Path) -> None:
    path = write_archive(tmp_path / "a.zip", {name: FILES[name] for name in ("movies.dat", "users.dat")})
    with zipfile.ZipFile(path, "a") as opened:
        opened.writestr("other/ratings.dat", b"x")
    with pytest.raises(DataError, match="different folders: ml-1m, other"):
        read_members(path, NAMES)


def test_a_zip_bomb_is_refused_before_it_is_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "LARGEST_MEMBER", 999_999)
    path = write_archive(tmp_path / "a.zip", {**FILES, "ratings.dat": b"0" * 1_000_000})
    assert path.stat().st_size < 10_000
    with pytest.raises(DataError, match=r"ratings\.dat: unpacks to 1,000,000 bytes; at most 999,999 are read"):
        read_members(path, NAMES)


def test_a_member_that_lies_about_its_length_is_refused(tmp_path: Path) -> None:
    path = write_archive(tmp_path / "a.zip", {**FILES, "ratings.dat": b"0" * 70_000})
    path.write_bytes(path.read_bytes().replace((70_000).to_bytes(4, "little"), (700).to_bytes(4, "little")))
    with pytest.raises(DataError, match="not a readable zip archive"):
        read_members(path, NAMES)


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        read_members(tmp_path / "absent.zip", NAMES)
    with pytest.raises(DataError, match="not a readable zip archive"):
        read_members(tmp_path, NAMES)


def test_a_web_page_is_called_a_web_page(tmp_path: Path) -> None:
    page = tmp_path / "page.zip"
    page.write_bytes(b"\n<!DOCTYPE html><html><body>Log in</body></html>")
    with pytest.raises(DataError, match="is a web page, not a zip archive"):
        read_members(page, NAMES)


def test_a_member_without_a_name_is_not_that_of_a_file(archive: Path) -> None:
    content = bytearray(archive.read_bytes())
    content[content.rfind(b"PK\x01\x02") + 46] = 0  # its name ends before the first letter
    archive.write_bytes(content)
    with pytest.raises(DataError, match=r"no file is named ratings\.dat"):
        read_members(archive, NAMES)


def test_an_encrypted_member_is_refused(archive: Path) -> None:
    content = bytearray(archive.read_bytes())
    for signature, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = content.find(signature)
        while at >= 0:
            content[at + flags] |= 1
            at = content.find(signature, at + 4)
    archive.write_bytes(content)
    with pytest.raises(DataError, match="encrypted"):
        read_members(archive, NAMES)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.99])
def test_a_truncated_archive_is_refused(archive: Path, share: float) -> None:
    content = archive.read_bytes()
    archive.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(DataError, match="not a readable zip archive"):
        read_members(archive, NAMES)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_no_damage_goes_unnoticed_or_crashes_the_reader(archive: Path, data: st.DataObject) -> None:
    sound = write_archive(archive).read_bytes()
    content = bytearray(sound)
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    archive.write_bytes(content)
    with contextlib.suppress(DataError):
        members = read_members(archive, NAMES)
        assert {name: member.text.encode("latin-1") for name, member in members.items()} == FILES
