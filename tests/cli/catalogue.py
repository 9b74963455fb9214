"""A catalogue, vectors, and checks of what a command leaves behind and says."""

from pathlib import Path

import numpy as np
from click.testing import Result

VECTORS = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
CATALOGUE = "sku,title,maker\nA 1,Red chair,Kemp\n7,Blue chair,\nß,,Kemp\n"


def content(folder: Path) -> dict[str, bytes]:
    """Return the bytes of every file under a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def fails(result: Result, *messages: str) -> None:
    """Check that a command failed with one message, which has all of these parts."""
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.startswith("error: ")
    for message in messages:
        assert message in result.stderr
