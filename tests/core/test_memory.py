"""Garbage collection skips imports."""

import subprocess
import sys

CODE = """
import gc
from hierrec.core.memory import gc_frozen
with gc_frozen():
    within = gc.isenabled()
print(within, gc.isenabled(), gc.get_freeze_count() > 1000)
"""


def test_what_is_imported_is_never_searched_and_the_rest_is() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True", "True"]
