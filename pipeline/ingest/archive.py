"""Text members of a zip archive. Nothing is extracted, and no name in the archive is trusted."""

import lzma
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO

from ..core.errors import DataError
from .sources import Source, is_html

LARGEST_MEMBER = 256 * 2**20
"""Bytes of an unpacked member that are always read; MovieLens-1M's largest has 25 million."""

LARGEST_RATIO = 50
"""A larger member is read if its size is at most its packed size times this."""
_BROKEN = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error),
    *(EOFError, OSError, ValueError, OverflowError),
    RuntimeError,  # encrypted, or (NotImplementedError) an unknown compression
)
_BYTE_ORDER_MARKS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")
_CONTROL = {
    "latin-1": re.compile(rb"[\x00-\x08\x0b-\x1f\x7f-\x9f]"),
    "utf-8": re.compile(rb"[\x00-\x08\x0b-\x1f\x7f]"),
}
_NAMES = {"latin-1": "ISO-8859-1 (Latin-1)", "utf-8": "UTF-8"}


class Archive:
    """The members of a zip archive, none of which may point outside it (``DataError``). Use it within `readable`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with zipfile.ZipFile(path) as opened:
            listed = [member for member in opened.infolist() if not member.is_dir()]
        self._members = [(self._inside(member.filename), member) for member in listed]
        self.names = {inside.name for inside, _ in self._members}
        """Base names of all files."""

    def sources(self, names: Sequence[str]) -> list[Source]:
        """Return the files with these base names, which may be larger than memory.

        Raises ``DataError`` if one is missing, there twice or too large, or if they lie in several folders.
        """
        found = {name: [pair for pair in self._members if pair[0].name == name] for name in names}
        for name, pairs in found.items():
            if len(pairs) != 1:
                what = f"{len(pairs)} files are named {name}" if pairs else f"no file is named {name}"
                remedy = f"the archive must hold {', '.join(names)}, once each, in one folder"
                raise DataError(what, str(self._path), remedy)
        folders = {str(path.parent) for [(path, _)] in found.values()}
        if len(folders) != 1:
            what = f"{', '.join(names)} lie in different folders: {', '.join(sorted(folders))}"
            raise DataError(what, str(self._path), "put them into one folder")
        return [self._source(member) for [(_, member)] in found.values()]

    def _source(self, member: zipfile.ZipInfo) -> Source:
        place = f"{self._path}, {member.filename}"
        largest = max(LARGEST_MEMBER, LARGEST_RATIO * member.compress_size)
        if member.file_size > largest:
            what = f"unpacks to {member.file_size:,} bytes; at most {largest:,} are read"
            raise DataError(what, place, "use an archive of MovieLens's size")
        suffix = PurePosixPath(member.filename).suffix
        return Source(place, suffix, partial(self._open, member.filename), packed=True)

    def _open(self, name: str) -> IO[bytes]:
        with zipfile.ZipFile(self._path) as opened:  # the member keeps the file open
            return opened.open(name)

    def _inside(self, name: str) -> PurePosixPath:
        path = PurePosixPath(name.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts or re.match(r"[A-Za-z]:", name):
            what = f"a member's name points outside the archive: {name!r}"
            raise DataError(what, str(self._path), "do not use this archive")
        return path


@contextmanager
def readable(archive: Path) -> Iterator[None]:
    """Turn the errors of `zipfile` into ``DataError``: the archive is missing, damaged, or no zip archive."""
    try:
        yield
    except FileNotFoundError:
        raise DataError("no such file", str(archive), "correct the path of the archive") from None
    except _BROKEN as error:
        what = f"is not a readable zip archive ({str(error) or type(error).__name__})"
        if archive.is_file() and is_html(partial(archive.open, "rb")):
            what = "is a web page, not a zip archive"
        raise DataError(what, str(archive), "fetch the archive again, and compare its checksum") from None


def decode(place: str, data: bytes, encoding: str = "latin-1", before: int = 0) -> str:
    """Decode text and refuse another encoding, which would garble titles silently.

    `data` are whole lines of the file `place`, after `before` lines. `encoding` is latin-1 or utf-8. In the text, lines
    end in a line feed.

    Raises:
        DataError: the text is in another encoding, or has control characters.
    """

    def error(what: str, position: int) -> DataError:
        line = before + data.count(b"\n", 0, position) + 1
        remedy = f"convert the file to {_NAMES[encoding]}, for example with iconv"
        return DataError(what, f"{place}, line {line}", remedy)

    if data.startswith(_BYTE_ORDER_MARKS):
        raise error("starts with a Unicode byte order mark", 0)
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as problem:
        if encoding == "utf-8":
            raise error("is not UTF-8", problem.start) from None
    else:
        if encoding == "latin-1" and (beyond := re.search(rb"[^\x00-\x7f]", data)):
            raise error("is encoded in UTF-8", beyond.start())
    data = data.replace(b"\r\n", b"\n")
    if control := _CONTROL[encoding].search(data):
        raise error(f"has the control character 0x{control[0].hex()}", control.start())
    return data.decode(encoding)
