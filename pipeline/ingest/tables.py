"""What the readers of tables share: how a table is written, and names of its columns."""

from collections.abc import Sequence
from dataclasses import dataclass

from ..core.errors import DataError
from .checks import quote

BLOCK = 2**26
"""Bytes of a text file that are parsed at a time; no row may be longer. Arrow reads up to 32 such blocks ahead."""


@dataclass(frozen=True)
class Layout:
    """How a table is written and read.

    Attributes:
        separator: of the columns of a text file; None: it is found out.
        header: whether its first line holds the names of the columns; without, they are called 1, 2, ….
        size: bytes of a text file that are parsed at a time; no row may be longer.
        one_line: a row of a text file takes one line. Without it a quoted text may hold line ends.
    """

    separator: str | None = None
    header: bool = True
    size: int = BLOCK
    one_line: bool = False


def check_names(place: str, names: Sequence[str]) -> None:
    """Refuse a table a column of which has no name of its own.

    Raises:
        DataError: there is one.
    """
    remedy = "give every column one name of its own (pandas: index=False leaves the index out)"
    for number, name in enumerate(names, 1):
        if not name.strip():
            raise DataError(f"column {number} has no name", place, remedy)
        if name in names[: number - 1]:
            raise DataError(f"two columns are named {quote(name)}", place, remedy)
