"""The stages in a dvc.yaml."""

import json
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML


def stages_of(definitions: Path) -> dict[str, dict[str, Any]]:
    """Return the stages in a dvc.yaml, in order, by the names of their files in `stages/`.

    A stage with `foreach` is several stages: DVC's name `train@refit` is `train_refit` here.
    """
    found: dict[str, dict[str, Any]] = {}
    for name, definition in YAML(typ="safe").load(definitions)["stages"].items():
        for item in definition.get("foreach", []):
            found[f"{name}_{item}"] = json.loads(json.dumps(definition["do"]).replace("${item}", item))
        if "foreach" not in definition:
            found[name] = definition
    return found
