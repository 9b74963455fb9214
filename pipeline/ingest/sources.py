"""Files as streams that can be opened again and again: plain, compressed, or a member of an archive."""

import hashlib
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO

import pyarrow as pa

from ..core.errors import DataError

COMPRESSED = {".gz": "gzip", ".zst": "zstd"}
_UTF8 = "utf-8"


@dataclass(frozen=True)
class Source:
    """A file, unpacked.

    Attributes:
        place: what messages call it.
        suffix: the end of its name, lower case, that says what it is; that of a compression is not part of it.
        unpacked: opens its bytes.
        encoding: of its text.
        packed: whether it is compressed or lies in an archive, so that its bytes cannot be reached in any order.
    """

    place: str
    suffix: str
    unpacked: Callable[[], IO[bytes]]
    encoding: str = _UTF8
    packed: bool = False

    def open(self) -> IO[bytes]:
        """Open its text in UTF-8, whatever its encoding."""
        if self.encoding == _UTF8:
            return self.unpacked()
        stream = pa.PythonFile(self.unpacked(), "r")
        return pa.transcoding_input_stream(stream, self.encoding, _UTF8)  # pyright: ignore[reportReturnType]

    def start(self, size: int) -> bytes:
        """Return its first bytes, in UTF-8."""
        with self.open() as file:
            return file.read(size)

    def lines(self) -> io.TextIOWrapper:
        """Open its text; bytes that are not UTF-8 become surrogates, line ends stay as they are."""
        return io.TextIOWrapper(self.open(), _UTF8 + "-sig", "surrogateescape", newline="")

    def line_blocks(self, size: int) -> Iterator[bytes]:
        """Yield its text, some bytes at a time, each block of whole lines."""
        with self.open() as stream, io.BufferedReader(stream) as file:  # pyright: ignore[reportArgumentType]
            while block := file.read(size):
                yield block + file.readline()


def file_source(path: Path, encoding: str = _UTF8) -> Source:
    """Return the source of a file, compressed where its name ends in `.gz` or `.zst`."""
    *_, before, last = ("", "", *(suffix.lower() for suffix in path.suffixes))
    if last not in COMPRESSED:
        return Source(str(path), last, partial(path.open, "rb"), encoding)
    return Source(str(path), before, partial(_unpacked, path, COMPRESSED[last]), encoding, packed=True)


def _unpacked(path: Path, compression: str) -> IO[bytes]:
    with path.open("rb") as file:
        if not file.read(1):
            raise DataError("file is empty", str(path), "compress the file again")
    return pa.CompressedInputStream(pa.OSFile(str(path)), compression)  # pyright: ignore[reportReturnType]


def md5_of(paths: Sequence[Path]) -> str:
    """Return the hex MD5 of the bytes of files, one after the other; of one file, DVC's checksum."""
    digest = hashlib.md5()
    for path in paths:
        with path.open("rb") as file:
            while block := file.read(2**20):
                digest.update(block)
    return digest.hexdigest()


def md5_file(path: Path) -> str:
    """Return the hex MD5 of a file's content."""
    return md5_of([path])
