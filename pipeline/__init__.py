"""Sequential recommendation with language models, without decoding.

Data flows one way, room by room; the map is in CONTRIBUTING.md.
"""

import importlib
import os
from typing import Any

__version__ = "0.1.0"

# OpenMP reads this when torch is imported. A waiting thread spins this often before it sleeps. The default is 300,000,
# which on a busy machine takes most of the time of the cores (docs/decisions/code.md#waiting-threads-sleep-soon).
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")

# Imported on first use, so that the import of one part does not wait for others. Types are in __init__.pyi.
_LAZY = {
    "Recommender": "serving.recommend",
    "EmbeddingStore": "store.store",
    "HierrecError": "core.errors",
    "NotFoundError": "serving.find_items",
}
__all__ = ["__version__", *_LAZY]  # pyright: ignore[reportUnsupportedDunderAll] (it reads __init__.pyi)


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(f"{__name__}.{_LAZY[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_LAZY])
