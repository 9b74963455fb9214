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

from ..core.errors import DataError
from .sources import Source, is_html

LARGEST_MEMBER = 256 * 2**20  # bytes of an unpacked member that are always read; MovieLens-1M's largest has 25 million
LARGEST_RATIO = 50  # a larger member is read if its size is at most its packed size times this

_BROKEN = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, OSError, ValueError, OverflowError),
    RuntimeError,  # encrypted, or (NotImplementedError) an unknown compression
)


class Archive:
    """The members of an open zip archive; raises ``DataError`` if one of them points outside it."""

    def __init__(self, path: Path, opened: zipfile.ZipFile) -> None:
        self._path, self._opened = path, opened
        # Not is_dir(), which fails on an empty name.
        files = [member for member in opened.infolist() if not member.filename.endswith("/")]
        self._members = [(self._inside(member.filename), member) for member in files]
        self.names = {path.name for path, _ in self._members}  # base names of all files

    def sources(self, names: Sequence[str]) -> list[Source]:
        """Return the files with these base names, which may be larger than memory.

        Raises ``DataError`` if one is missing, there twice or too large, or if they lie in several folders.
        """
        found = []
        for name in names:
            members = [member for member in self._members if member[0].name == name]
            if len(members) != 1:
                what = f"{len(members)} files are named {name}" if members else f"no file is named {name}"
                remedy = f"the archive must hold {', '.join(names)}, once each, in one folder"
                raise DataError(what, str(self._path), remedy)
            found += members
        folders = {str(path.parent) for path, _ in found}
        if len(folders) != 1:
            what = f"{', '.join(names)} lie in different folders: {', '.join(sorted(folders))}"
            raise DataError(what, str(self._path), "put them into one folder")
        return [self._source(path, member) for path, member in found]

    def _source(self, path: PurePosixPath, member: zipfile.ZipInfo) -> Source:
        place = f"{self._path}, {member.filename}"
        largest = max(LARGEST_MEMBER, LARGEST_RATIO * member.compress_size)
        if member.file_size > largest:
            what = f"unpacks to {member.file_size:,} bytes; at most {largest:,} are read"
            raise DataError(what, place, "use an archive of MovieLens's size")
        return Source(place, path.suffix, partial(self._opened.open, member.filename), packed=True)

    def _inside(self, name: str) -> PurePosixPath:
        path = PurePosixPath(name.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts or re.match(r"[A-Za-z]:", name):
            what = f"a member's name points outside the archive: {name!r}"
            raise DataError(what, str(self._path), "do not use this archive")
        return path


@contextmanager
def open_archive(path: Path) -> Iterator[Archive]:
    """Open a zip archive; raise ``DataError`` if it is missing, damaged, or not a zip archive."""
    try:
        with zipfile.ZipFile(path) as opened:
            yield Archive(path, opened)
    except FileNotFoundError:
        raise DataError("no such file", str(path), "correct the path of the archive") from None
    except _BROKEN as error:
        what = f"is not a readable zip archive ({str(error) or type(error).__name__})"
        if path.is_file() and is_html(partial(path.open, "rb")):
            what = "is a web page, not a zip archive"
        raise DataError(what, str(path), "fetch the archive again, and compare its checksum") from None
