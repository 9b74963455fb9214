"""Draw the results with the peers' matplotlib: `bench/.peers/bin/python bench/peers/theirs/plot.py bench/results`."""

import json
import sys
from pathlib import Path

import matplotlib  # pyright: ignore[reportMissingImports]

matplotlib.use("svg")
# No date, no random ids, text as text: equal results give equal files.
matplotlib.rcParams.update({"svg.hashsalt": "hierrec", "svg.fonttype": "none", "font.size": 9})

from matplotlib import pyplot as plt  # noqa: E402  # pyright: ignore[reportMissingImports]
from matplotlib.axes import Axes  # noqa: E402  # pyright: ignore[reportMissingImports]


def draw_training(axes: Axes, result: dict) -> None:
    """Draw NDCG@10 of every run over its training time."""
    clock = result["clock"]
    for place, (name, runs) in enumerate(result["curves"].items()):
        for run in runs:
            minutes = [0, *(point[clock] / 60 for point in run)]
            values = [0, *(point["ndcg@10"] for point in run)]
            axes.plot(minutes, values, marker=".", color=f"C{place}", label=name if run is runs[0] else None)
    axes.set(
        title="Training",
        xlabel=f"minutes of training ({clock[:4].strip('_')} time)",
        ylabel="validation NDCG@10",
    )
    axes.legend(frameon=False)


def draw_bars(axes: Axes, title: str, milliseconds: dict[str, float]) -> None:
    """Draw the time per user on a logarithmic axis."""
    bars = axes.barh(list(milliseconds), list(milliseconds.values()), color="C0")
    axes.bar_label(bars, [f" {value:.3g}" for value in milliseconds.values()])
    axes.set(title=title, xlabel="milliseconds a user", xscale="log")
    axes.invert_yaxis()
    axes.margins(x=0.2)


def main(folder: Path) -> None:
    """Draw existing results: `decoding.svg`, `training.svg`, `evaluation.svg`."""
    for name in ("decoding", "training", "evaluation"):
        path = folder / f"{name}.json"
        if not path.is_file():
            continue
        result = json.loads(path.read_text("utf-8"))
        figure, axes = plt.subplots(figsize=(6, 3), layout="constrained")
        if name == "training":
            draw_training(axes, result)
        elif name == "decoding":
            times = {key: 1000 * one[result["clock"]] for key, one in result["contestants"].items()}
            draw_bars(axes, "Top 20 of a user", times)
        else:
            draw_bars(axes, "Evaluation, full catalogue", result["milliseconds_per_user"])
        figure.savefig(folder / f"{name}.svg", metadata={"Date": None})
        plt.close(figure)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
