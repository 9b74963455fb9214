"""Named text members of a zip archive, read in memory: nothing is extracted, no name in it is trusted."""

import lzma
import re
import struct
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ..core.errors import DataError

LARGEST_MEMBER = 256 * 2**20
"""Bytes of a member, unpacked, above which it is refused; MovieLens-1M's largest has 25 million."""

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
_HTML = re.compile(rb"\s*<(!doctype\s+html|html|head|body)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Member:
    """One text file of an archive; ``place`` names both for messages."""

    place: str
    text: str


def read_members(archive: Path, names: Sequence[str], largest: int = LARGEST_MEMBER) -> dict[str, Member]:
    """Read Latin-1 text files of a zip archive, found by base name in the one folder that holds them all.

    Args:
        archive: the zip file.
        names: base names, for example ``movies.dat``.
        largest: bytes of a member, unpacked, above which it is refused.

    Returns:
        The members by base name; lines end in ``\\n``.

    Raises:
        DataError: the file is missing, is no zip archive or a damaged one, a member is missing, ambiguous,
            too large or not Latin-1 text, or a name in the archive points outside.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            members = _locate(archive, opened.infolist(), names)
            for member in members.values():
                if member.file_size > largest:
                    raise DataError(
                        f"unpacks to {member.file_size:,} bytes; at most {largest:,} are read",
                        f"{archive}, {member.filename}",
                        "use an archive of MovieLens-1M's size",
                    )
            contents = {name: opened.read(member) for name, member in members.items()}
    except FileNotFoundError:
        raise DataError("no such file", str(archive), "correct the path of the archive") from None
    except _BROKEN as error:
        if looks_like_html(archive):
            what = "is a web page, not a zip archive"
        else:
            what = f"is no readable zip archive ({str(error) or type(error).__name__})"
        raise DataError(what, str(archive), "fetch the archive again, and compare its checksum") from None
    texts = {}
    for name, member in members.items():
        place = f"{archive}, {member.filename}"
        texts[name] = Member(place, _decode(place, contents[name]))
    return texts


def looks_like_html(path: Path) -> bool:
    """Say whether a file starts as a web page does, as error and login pages of servers do."""
    try:
        with path.open("rb") as file:
            return _HTML.match(file.read(1024)) is not None
    except OSError:
        return False


def _locate(archive: Path, listed: list[zipfile.ZipInfo], names: Sequence[str]) -> dict[str, zipfile.ZipInfo]:
    found: dict[str, list[zipfile.ZipInfo]] = {name: [] for name in names}
    for member in listed:
        path = PurePosixPath(member.filename.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts or re.match(r"[A-Za-z]:", member.filename):
            raise DataError(
                f"a member's name points outside the archive: {member.filename!r}",
                str(archive),
                "do not use this archive",
            )
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


def _decode(place: str, data: bytes) -> str:
    """Decode Latin-1; refuse what is certainly another encoding, because it would garble titles silently."""
    remedy = "convert the file to ISO-8859-1 (Latin-1), for example with iconv"
    if data.startswith(_BYTE_ORDER_MARKS):
        raise DataError("starts with a Unicode byte order mark", f"{place}, line 1", remedy)
    if not data.isascii():
        try:
            data.decode("utf-8")
        except UnicodeDecodeError:
            pass
        else:
            line = next(number for number, text in enumerate(data.split(b"\n"), 1) if not text.isascii())
            raise DataError("is encoded in UTF-8", f"{place}, line {line}", remedy)
    data = data.replace(b"\r\n", b"\n")
    control = _CONTROL.search(data)
    if control is not None:
        line = data.count(b"\n", 0, control.start()) + 1
        raise DataError(f"has the control character 0x{control[0].hex()}", f"{place}, line {line}", remedy)
    return data.decode("latin-1")
