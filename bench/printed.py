"""Parse the output of a measurement that ran in its own process."""

import json
from typing import Any


def last_object(printed: bytes) -> dict[str, Any]:
    """Return the last line that is a JSON object.

    FAISS output may follow that line, because C buffers its output separately from Python.
    """
    lines = printed.decode("utf-8").splitlines()
    return json.loads(next(line for line in reversed(lines) if line.startswith("{")))
