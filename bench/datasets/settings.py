"""The data sets and their params."""

from pathlib import Path
from typing import Any

from hierrec.core.params import Section, read_params

HERE = Path(__file__).parent
FILES = ("ingest.archive", "ingest.interactions", "ingest.items")
"""Params that name a file, relative to the folder of the data set."""


class DataSet(Section):
    """The file NAME.yaml of a data set."""

    order_of_ties: str
    """Order of a user's interactions with equal times."""
    params: dict[str, Any]
    """Dotted keys of params.yaml, and their values here."""

    def overrides(self, folder: Path) -> dict[str, Any]:
        """Return the params, with file names resolved in the folder."""
        return {key: str(folder.resolve() / value) if key in FILES else value for key, value in self.params.items()}


def names() -> list[str]:
    """Return the names of the data sets, sorted."""
    return sorted(path.stem for path in HERE.glob("*.yaml"))


def load(name: str) -> DataSet:
    """Read the params of a data set; raises as ``read_params`` does."""
    return read_params(HERE / f"{name}.yaml", DataSet)
