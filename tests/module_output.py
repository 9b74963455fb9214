"""The output of a module that a test runs in a new process."""

import subprocess
from pathlib import Path
from typing import Any

from bench.printed import last_object
from tests.shared_imports import commands

ROOT = Path(__file__).parents[1]


def module_output(module: str, folder: Path) -> Any:
    """Run `python -m module folder`, which must succeed; return the JSON object that it prints."""
    command = [commands() / "python", "-m", module, folder]
    done = subprocess.run(command, cwd=ROOT, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    return last_object(done.stdout)
