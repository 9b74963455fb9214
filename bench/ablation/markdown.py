"""Render the results as Markdown tables."""

from typing import Any

from hierrec.ranking.metrics import NAMES

from bench.ablation.settings import Settings

METRICS = (
    ("validation", "ndcg@10"),
    ("test", "ndcg@10"),
    ("test", "ndcg@20"),
    ("test", "recall@10"),
    ("test", "recall@20"),
)

METHODS = {
    "model": "model as it is (no residual for cold items)",
    "model_mean": "model, cold items inherit the mean residual",
    "model_inherited": "model, cold items inherit from their neighbours by text",
    "model_text_alone": "model, every item ranked without its residual",
    "tf_idf": "TF-IDF similarity to the latest items",
    "random": "random order",
}
RANKINGS = {
    "cold": "cold targets among cold items",
    "all": "cold targets among all items",
    "warm": "warm targets among all items",
}


def render(settings: Settings, table: dict[str, Any], absent: dict[str, str]) -> str:
    """Return the tables.

    Args:
        settings: headings, labels and the budget.
        table: from ``table.collect``.
        absent: reason by missing run.
    """
    lines = [
        "# What each part contributes",
        "",
        f"Every run: the project's defaults with one change, {settings.epochs} epochs at most. Mean ± standard "
        "deviation over seeds. Validation decides every choice; test is shown, never chosen by. "
        "CPU seconds are those of training.",
        "",
    ]
    for heading, labels in settings.table.items():
        header = [
            "",
            "seeds",
            *(f"{split} {NAMES[metric]}" for split, metric in METRICS),
            "CPU seconds",
            "parameters",
        ]
        rows = [_run_row(label, table["runs"].get(run), absent.get(run)) for run, label in labels.items()]
        lines += [f"## {heading}", "", *_table(header, rows), ""]
    if table["cold"]:
        lines += _cold_lines(settings, table["cold"])
    return "\n".join(lines)


def _run_row(label: str, run: dict[str, Any] | None, reason: str | None) -> list[str]:
    if run is None:
        return [f"{label} ({reason})", *["–"] * (len(METRICS) + 3)]
    metrics = [_figure(run[split][metric]) for split, metric in METRICS]
    return [
        label,
        str(run["seeds"]),
        *metrics,
        f"{run['train_cpu_seconds']['mean']:.0f}",
        f"{run['parameters']:,}",
    ]


def _cold_lines(settings: Settings, cold: dict[str, Any]) -> list[str]:
    lines = ["## Cold items", ""]
    lines += [
        f"{settings.cold.share:.0%} of the items are taken out of training and of every history, another draw for each "
        "seed, and are then ranked by their text alone. Recall@10 on test.",
        "",
    ]
    for row, result in cold.items():
        test = result["test"]
        header = [f"`{row}`, seeds: {result['seeds']}", *RANKINGS.values()]
        rows = [
            [name, *(_figure(test[ranking][method]) for ranking in RANKINGS)]
            for method, name in METHODS.items()
            if method in test["all"]
        ]
        lines += [*_table(header, rows), ""]
    return lines


def _figure(value: dict[str, float]) -> str:
    return f"{value['mean']:.4f}" + (f" ± {value['sd']:.4f}" if "sd" in value else "")


def _table(header: list[str], rows: list[list[str]]) -> list[str]:
    rule = ["---", *["---:"] * (len(header) - 1)]
    return ["| " + " | ".join(cells) + " |" for cells in [header, rule, *rows]]
