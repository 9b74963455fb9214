"""Which kind of FAISS index a catalogue gets, by its number of items."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

Kind = Literal["flat", "ivf", "hnsw", "ivf_pq"]

IN_MEMORY_UP_TO = 5_000_000
"""Items up to which `auto` keeps an approximate index in memory, vectors and all."""

LINKS = 32
"""Neighbours of a node in an HNSW graph."""


@dataclass(frozen=True)
class Setting:
    """What an index is, and how well it finds.

    Attributes:
        kind: `flat` is exact.
        factory: FAISS's string for it.
        effort: value of the parameter that trades time for recall, `effort_name(kind)`; 0 for `flat`.
        recall_at_20: share of the true 20 nearest that it finds, measured when it was built; 1 for `flat`.
        queries: items on which that was measured.
    """

    kind: Kind = "flat"
    factory: str = "Flat"
    effort: int = 0
    recall_at_20: float = 1.0
    queries: int = 0


def choose_kind(kind: Literal["auto"] | Kind, count: int, exact_up_to: int) -> Kind:
    """Resolve `auto` for a number of items.

    It never resolves to `hnsw`, which takes many times longer to build.
    """
    if kind != "auto":
        return kind
    if count <= exact_up_to:
        return "flat"
    return "ivf" if count <= IN_MEMORY_UP_TO else "ivf_pq"


def factory(kind: Kind, count: int, width: int) -> str:
    """Return the FAISS factory string of a kind for `count` vectors of a width.

    Inverted lists: about the square root of the count. Product quantisation: a byte for two dimensions.
    """
    match kind:
        case "flat":
            return "Flat"
        case "hnsw":
            return f"HNSW{LINKS}"
        case "ivf":
            return f"IVF{_lists(count)},Flat"
        case "ivf_pq":
            return f"IVF{_lists(count)},PQ{width if width % 2 else width // 2}"


def effort_name(kind: Kind) -> str:
    """Return FAISS's name of the parameter that trades time for recall: lists, or nodes of the graph, visited."""
    return "efSearch" if kind == "hnsw" else "nprobe"


def efforts(kind: Kind, count: int) -> list[int]:
    """Return the efforts to try, each twice the one before; the last one of inverted lists is all of them."""
    if kind == "hnsw":
        return [2**power for power in range(5, 13)]
    return [2**power for power in range(_lists(count).bit_length())]


def _lists(count: int) -> int:
    return 2 ** round(np.log2(max(1, count)) / 2)
