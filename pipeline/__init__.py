"""Sequential recommendation with language models, without decoding.

Data flows one way, room by room; the map is in CONTRIBUTING.md.
"""

import importlib
from typing import Any

__version__ = "0.1.0"

# Imported on first use: whoever wants one part of the package waits for no other. Types are in __init__.pyi.
_LAZY = {"Recommender": "serving.recommend"}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(f"{__name__}.{_LAZY[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_LAZY])
