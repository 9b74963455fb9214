"""Files that hold a table: streams that can be opened several times, and the layout of the table."""

import hashlib
import io
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Literal

import pyarrow as pa

from ..core.errors import DataError, quote

COMPRESSED = {".gz": "gzip", ".zst": "zstd"}
_MARKS = {b"\x1f\x8b": ".gz", b"\x28\xb5\x2f\xfd": ".zst"}  # the first bytes of compressed files
BLOCK = 2**26  # bytes of a text file that are parsed at a time

Plain = Literal["latin-1", "utf-8"]

_HTML = re.compile(rb"\s*<(!doctype\s+html|html|head|body)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Layout:
    """The layout of a text file."""

    separator: str | None = None  # of the columns; None: the reader detects it
    names: tuple[str, ...] = ()  # the columns' names in a plain file; in another one, the first line holds them
    unnamed: bool = False  # there is no line of names: columns are named 1, 2, …
    size: int = BLOCK  # bytes that are parsed at a time, completed to whole lines
    one_line: bool = False  # a row takes one line; else a quoted text may hold line ends
    plain: Plain | None = None
    """The encoding of a plain file: lines without quotes or control characters, none of them blank. None: not plain."""


@dataclass(frozen=True)
class Source:
    """A file, which is unpacked as it is read; `place` is its name in messages."""

    place: str
    suffix: str  # of its name, lower case, without the suffix of a compression
    unpacked: Callable[[], IO[bytes]]  # opens its bytes
    encoding: str = "utf-8"
    packed: bool = False  # compressed or in an archive: it can only be read from the start to the end

    def open(self) -> IO[bytes]:
        """Open its text in UTF-8, whatever its encoding. A file that starts with the mark of UTF-8 is in UTF-8."""
        with self.unpacked() as file:
            marked = self.encoding != "utf-8" and file.read(3) == b"\xef\xbb\xbf"
        if marked or self.encoding == "utf-8":
            return self.unpacked()
        stream = pa.PythonFile(self.unpacked(), "r")
        return pa.transcoding_input_stream(stream, self.encoding, "utf-8")  # pyright: ignore[reportReturnType]

    def lines(self) -> io.TextIOWrapper:
        """Open its text with line ends as they are. Bytes that are not UTF-8 become surrogates."""
        return io.TextIOWrapper(self.open(), "utf-8-sig", "surrogateescape", newline="")

    def line_blocks(self, size: int) -> Iterator[bytes]:
        """Yield its text in UTF-8, about `size` bytes at a time, in whole lines."""
        with self.open() as stream, io.BufferedReader(stream) as file:  # pyright: ignore[reportArgumentType]
            while block := file.read(size):
                yield block + file.readline()


def file_source(path: Path, encoding: str = "utf-8") -> Source:
    """Return the source of a file, which is compressed if its name ends in `.gz` or `.zst`."""
    *_, before, last = ("", "", *(suffix.lower() for suffix in path.suffixes))
    packed = last in COMPRESSED
    opener = partial(_unpacked, path, COMPRESSED.get(last))
    return Source(str(path), before if packed else last, opener, encoding, packed)


def _unpacked(path: Path, compression: str | None) -> IO[bytes]:
    with path.open("rb") as file:  # Python's errors are plainer than Arrow's
        start = file.read(4)
    if compression and not start:
        raise DataError("file is empty", str(path), "compress the file again")
    ends = [end for mark, end in _MARKS.items() if start.startswith(mark)]
    if ends and compression is None:
        raise DataError("is compressed, but its name does not say so", str(path), f"let its name end in {ends[0]}")
    return pa.input_stream(str(path), compression)  # pyright: ignore[reportReturnType]


def is_html(opener: Callable[[], IO[bytes]]) -> bool:
    """Say whether a file starts as a web page does: servers send error and login pages instead of files."""
    with opener() as file:
        return _HTML.match(file.read(1024)) is not None


def check_names(place: str, names: Sequence[str]) -> None:
    """Raise ``DataError`` if a column has no name, or the name of another column."""
    remedy = "give every column one name of its own (pandas: index=False leaves the index out)"
    for number, name in enumerate(names, 1):
        if not name.strip():
            raise DataError(f"column {number} has no name", place, remedy)
        if name in names[: number - 1]:
            raise DataError(f"two columns are named {quote(name)}", place, remedy)


def md5_file(*paths: Path) -> str:
    """Return the hex MD5 of the bytes of files, one after the other; of one file, it is DVC's checksum."""
    digest = hashlib.md5()
    for path in paths:
        with path.open("rb") as file:
            hashlib.file_digest(file, lambda: digest)
    return digest.hexdigest()
