"""How good both variants are: metrics with intervals, beside published ones, by slice, and over training."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from ..core import VARIANTS
from ..evaluation.published import PUBLISHED, beside_published
from ..ranking.metrics import NAMES
from .charts import DotPlot, LineChart, Value, dot_plot, line_chart

SLICES = {
    "history": ("Length of the history", {"short": "Short", "middle": "Middle", "long": "Long"}),
    "popularity": ("Popularity of what came next", {"head": "Head", "middle": "Middle", "tail": "Tail"}),
    "perturbed": ("Damaged history", {"dropped": "Items left out", "replaced": "Items replaced"}),
}
"""Slices and their groups, as they are shown; users are cut into thirds by the first two."""


@dataclass(frozen=True)
class Results:
    """What the evaluation wrote.

    Attributes:
        metrics: by variant, the content of its metrics file.
        comparison: of the variants, metric by metric; empty where there is none.
        counts: of the data.
        curves: by variant, its learning curve: epoch, train_loss and validation metrics.
        recall: by variant, k and the share of users whose target ranks within the first k.
    """

    metrics: Mapping[str, Mapping[str, Any]]
    comparison: Mapping[str, Mapping[str, float]]
    counts: Mapping[str, int]
    curves: Mapping[str, pl.DataFrame]
    recall: Mapping[str, pl.DataFrame]


def measured(results: Results, variant: str, metric: str) -> Value:
    """Return a test metric with its interval, where there is one."""
    metrics = results.metrics[variant]
    interval = metrics.get("intervals", {}).get("test", {}).get(metric, {})
    return Value(variant, variant, metrics["test"][metric], interval.get("low"), interval.get("high"))


def overview(results: Results) -> list[DotPlot]:
    """Return NDCG@10 and Recall@10 of both variants; on MovieLens-1M beside published models."""
    test = {variant: results.metrics[variant]["test"] for variant in VARIANTS}
    beside = beside_published(test, results.counts)
    plots = []
    for metric in ("ndcg@10", "recall@10"):
        rows = []
        for model, value in beside.sort(metric, "model", descending=[True, False])[
            "model", metric
        ].iter_rows():
            published = model in PUBLISHED
            drawn = Value("published", model, value) if published else measured(results, model, metric)
            rows.append((model, "published" if published else "", [drawn], f"{value:.4f}"))
        plots.append(dot_plot(NAMES[metric], rows))
    return plots


def by_slice(results: Results) -> list[DotPlot]:
    """Return NDCG@10 of both variants by slice, with the change from the first to the second."""
    plots = []
    for name, (title, groups) in SLICES.items():
        parts = [results.metrics[variant].get("slices", {}).get(name, {}) for variant in VARIANTS]
        rows = [
            _slice_row(label, [part[group] for part in parts])
            for group, label in groups.items()
            if all("ndcg@10" in part.get(group, {}) for part in parts)
        ]
        if rows and name == "perturbed":
            whole = [{**metrics["test"], "users": metrics["users"]} for metrics in results.metrics.values()]
            rows.insert(0, _slice_row("As it was", whole))
        if rows:
            plots.append(dot_plot(title, rows))
    return plots


def training(results: Results) -> list[LineChart]:
    """Return the learning curves, and how recall grows with the number of items shown."""
    parts = {"hierarchical": "sequence model", "rag": "fusion"}
    charts = [
        line_chart(
            f"{title}, {part}", "epoch", [_line(results.curves.get(variant), variant, "epoch", column)]
        )
        for variant, part in parts.items()
        for column, title in (("ndcg@10", "Validation NDCG@10"), ("train_loss", "Training loss"))
    ]
    return [chart for chart in charts if chart]


def recall_chart(results: Results) -> LineChart | None:
    """Return the distribution of the test ranks: the share of users whose target is within the first k."""
    lines = [_line(results.recall.get(variant), variant, "k", "recall") for variant in VARIANTS]
    return line_chart(
        "Recall@k: share of users whose next item is among the first k", "k", lines, (1, 10, 100, 1000)
    )


ENOUGH_HITS = 10
"""Targets among the first 10 from which a change is shown in percent: of nearly nothing, percentages say nothing."""


def _slice_row(label: str, parts: Iterable[Mapping[str, float]]) -> tuple[str, str, list[Value], str]:
    base, other = parts
    values = [
        Value(variant, variant, part["ndcg@10"])
        for variant, part in zip(VARIANTS, (base, other), strict=True)
    ]
    change = f"{other['ndcg@10'] - base['ndcg@10']:+.4f}"
    if round(base["recall@10"] * base["users"]) >= ENOUGH_HITS:
        change = f"{other['ndcg@10'] / base['ndcg@10'] - 1:+.1%}"
    return label, f"{base['users']:,} users", values, change


def _line(
    table: pl.DataFrame | None, variant: str, x: str, y: str
) -> tuple[str, str, list[float], list[float]]:
    if table is None:
        return variant, variant, [], []
    ys = [math.nan if value is None else float(value) for value in table[y]]
    return variant, variant, table[x].to_list(), ys
