"""params.yaml, read as DVC reads it; an override file for trials comes last."""

import json
import os
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML


def load_params() -> dict[str, Any]:
    """Read params.yaml, or the file that T5_NANO_PARAMS names."""
    return YAML(typ="safe").load(Path(os.environ.get("T5_NANO_PARAMS", "params.yaml")))


def write_json(path: Path, value: Any) -> None:
    """Write numbers as canonical JSON: sorted keys, six decimals."""
    path.write_text(json.dumps(rounded(value), indent=2, sort_keys=True) + "\n", "utf-8")


def rounded(value: Any) -> Any:
    """Nested numbers to six decimals."""
    if isinstance(value, dict):
        return {key: rounded(inner) for key, inner in value.items()}
    return round(value, 6) if isinstance(value, float) else value
