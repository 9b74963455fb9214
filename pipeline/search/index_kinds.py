"""Kinds of FAISS index, and which kind suits a number of items."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

Kind = Literal["flat", "ivf", "hnsw", "ivf_pq"]

IN_MEMORY_UP_TO = 5_000_000  # items up to which `auto` keeps an approximate index and its vectors in memory

LINKS = 32  # neighbours of a node in an HNSW graph


@dataclass(frozen=True)
class Setting:
    """Kind, settings and measured recall of an index; by default of an exact one."""

    kind: Kind = "flat"
    factory: str = "Flat"  # FAISS's factory string
    effort: int = 0  # value of the parameter `effort_name(kind)`, which trades time for recall
    recall_at_20: float = 1.0  # share of the true 20 nearest items that it finds, measured when it was built
    queries: int = 0  # number of items on which the recall was measured


EXACT = Setting()


def choose_kind(kind: Literal["auto"] | Kind, count: int, exact_up_to: int) -> Kind:
    """Return the kind for `count` items if `kind` is `auto`. `hnsw` is never chosen: it takes much longer to build."""
    if kind != "auto":
        return kind
    if count <= exact_up_to:
        return "flat"
    return "ivf" if count <= IN_MEMORY_UP_TO else "ivf_pq"


def factory(kind: Kind, count: int, width: int) -> str:
    """Return the FAISS factory string for `count` vectors of a width.

    There are about sqrt(count) inverted lists. A PQ code has one byte per two dimensions (odd width: per dimension).
    """
    quantised = f"PQ{width if width % 2 else width // 2}"
    lists = f"IVF{_lists(count)}"
    return {"flat": "Flat", "hnsw": f"HNSW{LINKS}", "ivf": f"{lists},Flat", "ivf_pq": f"{lists},{quantised}"}[kind]


def effort_name(kind: Kind) -> str:
    """Return FAISS's name for the number of inverted lists, or nodes of the graph, that a search visits."""
    return "efSearch" if kind == "hnsw" else "nprobe"


def efforts(kind: Kind, count: int) -> list[int]:
    """Return the efforts to try, each twice the one before. With inverted lists, the last effort is all lists."""
    return [2**power for power in (range(5, 13) if kind == "hnsw" else range(_lists(count).bit_length()))]


def _lists(count: int) -> int:
    return 2 ** round(np.log2(max(1, count)) / 2)
