"""What a measurement in a process of its own printed."""

import json
from typing import Any


def last_object(printed: bytes) -> dict[str, Any]:
    """Return the last line that is a JSON object.

    What FAISS prints may come after it, when the process ends: C's output is buffered apart from Python's.
    """
    lines = printed.decode("utf-8").splitlines()
    return json.loads(next(line for line in reversed(lines) if line.startswith("{")))
