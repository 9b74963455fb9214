"""Plot costs over the number of items, as SVG."""

from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("svg")
matplotlib.rcParams["svg.hashsalt"] = "growth"
from matplotlib import pyplot  # noqa: E402 - after the choice of the backend

PANELS = (
    ("encode", "cpu_s_per_1000", "Encoding: CPU s per 1,000 items"),
    ("index", "build_and_tune_cpu_s", "Index: building and tuning, CPU s"),
    ("index", "search_one_cpu_ms", "Search: CPU ms, one query"),
    ("index", "recall_at_20", "Recall@20"),
    ("index", "memory_peak_mb", "Index: own memory while building, MiB"),
    ("train", "memory_peak_mb", "Training: own memory, MiB"),
)


def plot(results: dict[str, Any], path: Path) -> None:
    """Draw every panel with a line for each kind."""
    figure, axes = pyplot.subplots(2, 3, figsize=(12, 6.5), layout="constrained")
    for axis, (group, key, title) in zip(axes.flat, PANELS, strict=True):
        for name, points in _lines(results["items"], group, key).items():
            axis.plot(*zip(*sorted(points), strict=True), marker="o", label=name)
        axis.set(title=title, xlabel="items", xscale="log")
        if key == "recall_at_20":
            axis.set_ylim(0, 1.02)
        elif group != "encode":
            axis.set_yscale("log")
        else:
            axis.set_ylim(bottom=0)
        axis.grid(alpha=0.3)
        if group != "encode":
            axis.legend()
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)


def _lines(items: dict[str, Any], group: str, key: str) -> dict[str, list[tuple[int, float]]]:
    lines: dict[str, list[tuple[int, float]]] = {}
    for count, measured in items.items():
        found = measured.get(group, {})
        for name, record in ({"": found} if group == "encode" else found).items():
            lines.setdefault(name, []).append((int(count), record[key]))
    return lines
