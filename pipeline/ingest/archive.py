"""Named text members of a zip archive, read where they lie: nothing is extracted, no name in it is trusted."""

import lzma
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, Literal

from ..core.errors import DataError
from .sources import Source

LARGEST_MEMBER = 256 * 2**20
"""Bytes of a member, unpacked, above which it is refused; MovieLens-1M's largest has 25 million."""

LARGEST_RATIO = 50
"""A larger member may be read in blocks, if it is packed to no less than its size divided by this."""

_BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    OSError,
    RuntimeError,  # encrypted, or (NotImplementedError) an unknown compression
    ValueError,
    OverflowError,
)
_BYTE_ORDER_MARKS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")
_CONTROL = re.compile(rb"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_ASCII_CONTROL = re.compile(rb"[\x00-\x08\x0b-\x1f\x7f]")
_HTML = re.compile(rb"\s*<(!doctype\s+html|html|head|body)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Member:
    """One text file of an archive; ``place`` names both for messages."""

    place: str
    text: str


def member_names(archive: Path) -> set[str]:
    """Return the base names of the files in a zip archive.

    Raises:
        DataError: as for `read_member`.
    """
    with readable(archive), zipfile.ZipFile(archive) as opened:
        return {_path(archive, member).name for member in opened.infolist() if not member.is_dir()}


def read_member(
    archive: Path,
    name: str,
    beside: Sequence[str],
    encoding: Literal["latin-1", "utf-8"] = "latin-1",
    largest: int = LARGEST_MEMBER,
) -> Member:
    """Read a text file of a zip archive, found by base name in the one folder that holds all of `beside`.

    Args:
        archive: the zip file.
        name: base name, for example ``movies.dat``.
        beside: base names of files that lie in the same folder, its own among them.
        encoding: of the file.
        largest: bytes, unpacked, above which it is refused.

    Returns:
        Its text; lines end in ``\n``.

    Raises:
        DataError: the file is missing, is no zip archive or a damaged one, a member is missing, ambiguous,
            too large or not text in that encoding, or a name in the archive points outside.
    """
    with readable(archive), zipfile.ZipFile(archive) as opened:
        member = _locate(archive, opened.infolist(), beside)[name]
        _refuse_large(archive, member, largest)
        content = opened.read(member)
    place = f"{archive}, {member.filename}"
    return Member(place, decode(place, content, encoding))


def member_source(archive: Path, name: str, beside: Sequence[str]) -> Source:
    """Return a text file of a zip archive as a source, which may be larger than memory.

    Raises:
        DataError: as for `read_member`; a member above `LARGEST_MEMBER` may be `LARGEST_RATIO` times as large as it is
            packed. While it is read, `readable` tells what is damaged.
    """
    with readable(archive), zipfile.ZipFile(archive) as opened:
        member = _locate(archive, opened.infolist(), beside)[name]
    _refuse_large(archive, member, max(LARGEST_MEMBER, LARGEST_RATIO * member.compress_size))
    place, suffix = f"{archive}, {member.filename}", PurePosixPath(name).suffix
    return Source(place, suffix, partial(_open, archive, member.filename), packed=True)


def _open(archive: Path, name: str) -> IO[bytes]:
    with zipfile.ZipFile(archive) as opened:  # the member keeps the file open
        return opened.open(name)


@contextmanager
def readable(archive: Path) -> Iterator[None]:
    """Turn what `zipfile` raises while an archive is read into a typed error.

    Raises:
        DataError: the file is missing, is no zip archive or a damaged one.
    """
    try:
        yield
    except FileNotFoundError:
        raise DataError("no such file", str(archive), "correct the path of the archive") from None
    except _BROKEN as error:
        if looks_like_html(archive):
            what = "is a web page, not a zip archive"
        else:
            what = f"is no readable zip archive ({str(error) or type(error).__name__})"
        raise DataError(what, str(archive), "fetch the archive again, and compare its checksum") from None


def _refuse_large(archive: Path, member: zipfile.ZipInfo, largest: int) -> None:
    if member.file_size > largest:
        what = f"unpacks to {member.file_size:,} bytes; at most {largest:,} are read"
        raise DataError(what, f"{archive}, {member.filename}", "use an archive of MovieLens's size")


def looks_like_html(path: Path) -> bool:
    """Say whether a file starts as a web page does, as error and login pages of servers do."""
    try:
        return is_html(partial(path.open, "rb"))
    except OSError:
        return False


def is_html(opener: Callable[[], IO[bytes]]) -> bool:
    """Say the same of what can be opened."""
    with opener() as file:
        return _HTML.match(file.read(1024)) is not None


def _locate(archive: Path, listed: list[zipfile.ZipInfo], names: Sequence[str]) -> dict[str, zipfile.ZipInfo]:
    found: dict[str, list[zipfile.ZipInfo]] = {name: [] for name in names}
    for member in listed:
        path = _path(archive, member)
        if path.name in found and not member.is_dir():
            found[path.name].append(member)
    for name, members in found.items():
        if len(members) != 1:
            what = f"{len(members)} files are named {name}" if members else f"no file is named {name}"
            remedy = f"the archive must hold {', '.join(names)}, once each, in one folder"
            raise DataError(what, str(archive), remedy)
    folders = {str(PurePosixPath(members[0].filename).parent) for members in found.values()}
    if len(folders) != 1:
        what = f"{', '.join(names)} lie in different folders: {', '.join(sorted(folders))}"
        raise DataError(what, str(archive), "put them into one folder")
    return {name: members[0] for name, members in found.items()}


def _path(archive: Path, member: zipfile.ZipInfo) -> PurePosixPath:
    path = PurePosixPath(member.filename.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or re.match(r"[A-Za-z]:", member.filename):
        what = f"a member's name points outside the archive: {member.filename!r}"
        raise DataError(what, str(archive), "do not use this archive")
    return path


def decode(place: str, data: bytes, encoding: str = "latin-1", before: int = 0) -> str:
    """Decode Latin-1 or UTF-8; refuse what is certainly another encoding, because it would garble titles silently.

    Args:
        place: the file.
        data: its bytes, or whole lines of them.
        encoding: latin-1 or utf-8.
        before: lines of the file before these.

    Raises:
        DataError: it is in another encoding, or has control characters.
    """
    name = {"latin-1": "ISO-8859-1 (Latin-1)", "utf-8": "UTF-8"}[encoding]
    remedy = f"convert the file to {name}, for example with iconv"

    def line(position: int) -> str:
        return f"{place}, line {before + data.count(bytes([10]), 0, position) + 1}"

    if data.startswith(_BYTE_ORDER_MARKS):
        raise DataError("starts with a Unicode byte order mark", line(0), remedy)
    text, problem = None, None
    if not data.isascii():
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError as error:
            problem = error.start
    if encoding == "utf-8" and problem is not None:
        raise DataError("is not UTF-8", line(problem), remedy)
    if encoding == "latin-1" and text is not None:
        first = next(position for position, byte in enumerate(data) if byte > 127)
        raise DataError("is encoded in UTF-8", line(first), remedy)
    data = data.replace(b"\r\n", b"\n")
    control = (_CONTROL if encoding == "latin-1" else _ASCII_CONTROL).search(data)
    if control is not None:
        raise DataError(f"has the control character 0x{control[0].hex()}", line(control.start()), remedy)
    return data.decode(encoding)
