"""Broken archives in MovieLens-1M's layout, as a whole or in one member."""

import zipfile
from collections.abc import Callable
from pathlib import Path

from tests.ingest.archives import FILES, write_archive
from tests.ingest.broken_input import PAGE, Broken, Params
from tests.ingest.broken_members import MEMBERS


def archive(edit: Callable[[Path], object], message: str) -> Broken:
    """A sound archive that is spoilt as a whole."""

    def make(folder: Path) -> Params:
        path = write_archive(folder / "a.zip")
        edit(path)
        return {"ingest.archive": str(path)}

    return Broken(make, message)


def member(name: str, edit: Callable[[bytes], bytes], message: str) -> Broken:
    """An archive with one broken member."""

    def make(folder: Path) -> Params:
        return {"ingest.archive": str(write_archive(folder / "a.zip", {**FILES, name: edit(FILES[name])}))}

    return Broken(make, rf"^error: (?=.*a\.zip, ml-1m/{name}, line|.*a\.zip, ml-1m/{name}: ).*{message}")


def add_member(name: str) -> Callable[[Path], None]:
    def edit(path: Path) -> None:
        with zipfile.ZipFile(path, "a") as opened:
            opened.writestr(name, b"x")

    return edit


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def bomb(path: Path) -> None:
    """Forge the length in the archive's directory, so that no large file is written."""
    content = bytearray(path.read_bytes())
    length = content.index(b"ml-1m/ratings.dat", content.index(b"PK\x01\x02")) - 46 + 24
    content[length : length + 4] = (2**30).to_bytes(4, "little")
    path.write_bytes(content)


def pages(path: Path) -> None:
    path.write_bytes(PAGE)


def short(*lengths: int) -> Callable[[Path], object]:
    """An archive of users with `lengths` ratings."""
    rows = [f"{user}::{item}::3::9" for user, n in enumerate(lengths, 1) for item in (1, 3, 4, 9)[:n]]
    return lambda path: write_archive(path, {**FILES, "ratings.dat": "\n".join(rows).encode()})


ARCHIVES = {
    "truncated zip": archive(cut, r"a\.zip: is not a readable zip archive"),
    "HTML instead of a zip": archive(pages, r"a\.zip: is a web page, not a zip archive"),
    "empty zip file": archive(lambda path: path.write_bytes(b""), r"a\.zip: is not a readable zip archive"),
    "zip without members": archive(lambda path: write_archive(path, {}), r"a\.zip: no file is named movies\.dat"),
    "missing member": archive(
        lambda path: write_archive(path, {"movies.dat": b"", "users.dat": b""}),
        r"no file is named ratings\.dat",
    ),
    "member twice": archive(add_member("b/users.dat"), r"2 files are named users\.dat"),
    "member above": archive(add_member("../evil"), r"points outside the archive: '\.\./evil'"),
    "member with an absolute name": archive(add_member("/etc/evil"), "points outside the archive: '/etc/evil'"),
    "member of a drive": archive(add_member("C:\\evil"), "points outside the archive"),
    "zip bomb": archive(bomb, r"ratings\.dat: unpacks to 1,073,741,824 bytes; at most"),
    "no archive": archive(Path.unlink, r"a\.zip: no such file.*correct ingest\.archive"),
    "folder instead of an archive": Broken(
        lambda folder: {"ingest.archive": str(folder)}, r"is a folder, not a file.*correct ingest\.archive"
    ),
    "wrong checksum": Broken(
        lambda folder: {"ingest.archive": str(write_archive(folder / "a.zip")), "ingest.md5": "0" * 32},
        r"a\.zip: this is another file: md5 0{32} is expected.*correct ingest\.md5",
    ),
    "empty checksum": Broken(
        lambda folder: {"ingest.archive": str(write_archive(folder / "a.zip")), "ingest.md5": ""},
        r"a\.zip: its checksum is empty.*set ingest\.md5 to [0-9a-f]{32}",
    ),
    "other counts": Broken(
        lambda folder: {
            "ingest.archive": str(write_archive(folder / "a.zip")),
            "ingest.expected": {"interactions": 11, "users": 4, "rated_items": 4, "items": 5},
        },
        r"a\.zip: 10 interactions instead of 11.*ingest\.expected",
    ),
    "users with 1 and 2 ratings only": archive(short(1, 2, 2), "movielens: no user has 3 interactions"),
    "one user of 2 ratings only": archive(short(2), "movielens: no user has 3 interactions"),
    "users with 3 ratings only": archive(short(3, 3), "movielens: every user has one training interaction"),
}

ARCHIVES |= {f"{name}: {case}": member(name, edit, text) for case, (name, edit, text) in MEMBERS.items()}
