"""What a module prints that a test runs in a process of its own."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]


def module_output(module: str, folder: Path) -> Any:
    """Run `python -m module folder`, which must succeed; return the last line of what it prints, JSON."""
    command = [sys.executable, "-m", module, str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])
