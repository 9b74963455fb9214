"""A broken input."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Params = dict[str, Any]
PAGE = b"<!DOCTYPE html><html><body>Please log in</body></html>"


@dataclass(frozen=True)
class Broken:
    """One broken input: ``make`` writes it into a folder and returns the params of `ingest` that name it.

    ``message`` is a regular expression for the message, from the place of the fault to the remedy.
    """

    make: Callable[[Path], Params]
    message: str
