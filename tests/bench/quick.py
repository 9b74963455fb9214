"""The quick run of a bench."""

import json
from pathlib import Path
from typing import Any

import click
from click.testing import CliRunner


def run(command: click.Command, out: Path, *arguments: str) -> dict[str, Any]:
    """Run a command of a bench in one quick round; return the results that it wrote to ``out``."""
    done = CliRunner().invoke(command, ["--quick", "--rounds", "1", "--out", str(out), *arguments])
    assert done.exit_code == 0, done.output
    return json.loads(out.read_text())
