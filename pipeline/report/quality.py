"""Results of both variants: metrics with intervals, baselines, published results, slices, learning curves."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from ..core import VARIANTS
from ..evaluation.comparison import PUBLISHED, beside_published
from ..ranking.metrics import NAMES
from .charts import DotPlot, LineChart, Row, Value, dot_plot, line_chart

SLICES = {  # titles, and labels of the groups that `evaluation/ranks.py` defines
    "history": ("Length of the history", {"short": "Short", "middle": "Middle", "long": "Long"}),
    "popularity": ("Popularity of what came next", {"head": "Head", "middle": "Middle", "tail": "Tail"}),
    "target": ("What came next", {"new": "New to the user", "repeated": "Taken before"}),
    "perturbed": ("Damaged history", {"dropped": "Items left out", "replaced": "Items replaced"}),
}
# What each variant trains, and the x axis of its learning curve.
LEARNED = {"hierarchical": ("sequence model", "epoch"), "rag": ("fusion", "step")}
ENOUGH_HITS = 10  # targets among the first 10 from which a change is in percent: of fewer, percentages mean nothing


@dataclass(frozen=True)
class Results:
    """Results of the evaluation. `baselines` and `comparison` may be empty."""

    metrics: Mapping[str, Mapping[str, Any]]  # content of each variant's metrics file
    baselines: Mapping[str, Mapping[str, Mapping[str, float]]]  # validation and test metrics of each baseline
    comparison: Mapping[str, Mapping[str, float]]  # of the variants, by metric
    counts: Mapping[str, int]  # of users, items, candidates and interactions
    curves: Mapping[str, pl.DataFrame]  # of each variant: epoch or step, train_loss and validation metrics
    recall: Mapping[str, pl.DataFrame]  # of each variant: k, share of users whose target is among the first k

    def measured(self, variant: str, metric: str) -> Value:
        """Return a test metric, with its interval if there is one."""
        metrics = self.metrics[variant]
        interval = metrics.get("intervals", {"test": {}})["test"].get(metric, {})
        return Value(variant, variant, metrics["test"][metric], **interval)

    def table(self, split: str) -> list[tuple[str, Mapping[str, float]]]:
        """Return name and metrics of each baseline, from the worst to the best by NDCG@10, and of each variant."""
        baselines = [(name, metrics[split]) for name, metrics in self.baselines.items()]
        variants = [(variant, self.metrics[variant][split]) for variant in VARIANTS]
        return [*sorted(baselines, key=lambda row: row[1]["ndcg@10"]), *variants]

    def overview(self) -> list[DotPlot]:
        """Return NDCG@10 and Recall@10 of both variants; on MovieLens-1M also of published models."""
        beside = beside_published({name: found["test"] for name, found in self.metrics.items()}, self.counts)
        plots = []
        for metric in ("ndcg@10", "recall@10"):
            rows = []
            ordered = beside.sort(metric, "model", descending=[True, False])
            for model, value in ordered["model", metric].iter_rows():
                note = "published" if model in PUBLISHED else ""
                drawn = Value(note, model, value) if note else self.measured(model, metric)
                rows.append(Row(model, note, [drawn], f"{value:.4f}"))
            plots.append(dot_plot(NAMES[metric], rows))
        return plots

    def by_slice(self) -> list[DotPlot]:
        """Return NDCG@10 of both variants by slice, and the change from the first variant to the second."""
        plots = []
        for name, (title, groups) in SLICES.items():
            parts = [self.metrics[variant].get("slices", {}).get(name, {}) for variant in VARIANTS]
            rows = [
                _slice_row(label, *(part[group] for part in parts))
                for group, label in groups.items()
                if all("ndcg@10" in part.get(group, {}) for part in parts)
            ]
            if len(rows) < 2:  # one group is the whole
                continue
            if name == "perturbed":
                whole = [{**metrics["test"], "users": metrics["users"]} for metrics in self.metrics.values()]
                rows.insert(0, _slice_row("As it was", *whole))
            plots.append(dot_plot(title, rows))
        return plots

    def training(self) -> list[LineChart]:
        """Return the learning curves of both variants."""
        charts = []
        for variant, curve in self.curves.items():
            part, x = LEARNED[variant]
            for column, title in {"ndcg@10": "Validation NDCG@10", "train_loss": "Training loss"}.items():
                charts.append(line_chart(f"{title}, {part}", x, _points({variant: curve}, x, column)))
        return [chart for chart in charts if chart]

    def recall_chart(self) -> LineChart | None:
        """Return the share of users whose target is among the first k, for each k."""
        title = "Recall@k: share of users whose next item is among the first k"
        return line_chart(title, "k", _points(self.recall, "k", "recall"), (1, 10, 100, 1000))


def _slice_row(label: str, base: Mapping[str, float], other: Mapping[str, float]) -> Row:
    pairs = zip(VARIANTS, (base, other), strict=True)
    values = [Value(variant, variant, part["ndcg@10"]) for variant, part in pairs]
    change = f"{other['ndcg@10'] - base['ndcg@10']:+.4f}"
    if round(base["recall@10"] * base["users"]) >= ENOUGH_HITS:
        change = f"{other['ndcg@10'] / base['ndcg@10'] - 1:+.1%}"
    return Row(label, f"{base['users']:,} users", values, change)


def _points(tables: Mapping[str, pl.DataFrame], x: str, y: str) -> dict[str, list[tuple[float, float]]]:
    return {variant: table.select(x, y).drop_nulls().rows() for variant, table in tables.items()}
