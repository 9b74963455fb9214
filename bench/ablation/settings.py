"""Read params.yaml of this folder, and the project's params.yaml with overrides."""

import copy
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

from hierrec.core.errors import HierrecError, ParamsError
from hierrec.core.params import Positive, Section
from hierrec.params import Params
from pydantic import Field, ValidationError
from ruamel.yaml import YAML

HERE = Path(__file__).parent
WORK = HERE / "work"
RESULTS = HERE / "results"

Overrides = dict[str, Any]


class Group(Section):
    """Runs: every combination of item vectors, row and seed."""

    vectors: list[str]
    rows: list[str]
    seeds: list[int]

    def runs(self) -> set[str]:
        """Return the runs as `vectors/row`."""
        return {f"{vectors}/{row}" for vectors in self.vectors for row in self.rows}


class ColdSettings(Section):
    """Settings of the cold items, which training never sees."""

    rows: list[str]
    seeds: list[int]
    share: Annotated[float, Field(gt=0, lt=1)]
    neighbours: Positive
    recent: list[Positive]


class Settings(Section):
    """All of params.yaml, which describes each key."""

    params: str
    data: str
    abstracts: str | None
    epochs: Positive
    vectors: dict[str, Overrides]
    rows: dict[str, Overrides]
    items: Group
    deciding: Group
    varying: Group
    encoders: Group
    cold: ColdSettings
    table: dict[str, dict[str, str]]

    @property
    def groups(self) -> list[Group]:
        """All groups of runs except the cold items."""
        return [self.items, self.deciding, self.varying, self.encoders]

    def seeds(self) -> dict[str, list[int]]:
        """Return the seeds of each run `vectors/row`."""
        return {run: group.seeds for group in self.groups for run in group.runs()}


def load_settings(path: Path = HERE / "params.yaml") -> Settings:
    """Read and check params.yaml.

    Raises:
        ParamsError: a key is unknown, missing or of the wrong type, a run names vectors or a row that are not
            defined, or the table and the groups name different runs.
    """
    try:
        settings = Settings.model_validate(_read_yaml(path))
    except ValidationError as error:
        raise ParamsError(str(error), str(path), "correct it; every key is described there") from None
    runs, shown = set(settings.seeds()), {run for part in settings.table.values() for run in part}
    if odd := sorted(runs ^ shown):
        place = "the table" if odd[0] in runs else "a group of runs"
        raise ParamsError(f"{odd[0]} is missing in {place}", str(path), "name it there too")
    for kind, names, used in (
        ("vectors", settings.vectors, {run.partition("/")[0] for run in runs}),
        ("rows", settings.rows, {run.partition("/")[2] for run in runs} | set(settings.cold.rows)),
    ):
        if odd := sorted(used - set(names)):
            raise ParamsError(f"{odd[0]} is not defined", f"{path}, key {kind}", "define it there")
    return settings


def load_document(path: Path) -> dict[str, Any]:
    """Read the project's params.yaml unchecked, for ``with_overrides``."""
    return _read_yaml(path)


def with_overrides(document: dict[str, Any], overrides: Mapping[str, Any]) -> Params:
    """Return params with dotted keys set.

    Args:
        document: a params.yaml.
        overrides: values by dotted key, e.g. `train.pooling.kind`.

    Raises:
        ParamsError: a key does not exist, or a value is invalid.
    """
    changed = copy.deepcopy(document)
    for key, value in overrides.items():
        *sections, name = key.split(".")
        node: Any = changed
        for section in sections:
            node = node.get(section) if isinstance(node, dict) else None
        if not isinstance(node, dict) or name not in node:
            raise ParamsError("there is no such key in params.yaml", key, "correct the key of the override")
        node[name] = value
    try:
        return Params.model_validate(changed)
    except ValidationError as error:
        raise ParamsError(str(error), ", ".join(overrides), "correct the value of the override") from None


def command(main: Callable[..., None]) -> None:
    """Run a stage with the command line's arguments; on a typed error, print it and exit with status 1."""
    try:
        main(*sys.argv[1:])
    except HierrecError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)


def _read_yaml(path: Path) -> dict[str, Any]:
    return YAML(typ="safe").load(path.read_text("utf-8"))
