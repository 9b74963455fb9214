"""How the evaluation of a variant is written and summed up."""

from typing import Any

import polars as pl
from hierrec.files import atomic_path, write_json

from stages.stage import METRICS, PLOTS, Summary


def write_results(variant: str, metrics: dict[str, Any], recall_at: pl.DataFrame) -> Summary:
    """Write metrics and the recall curve of a variant; return the stage's summary."""
    write_json(METRICS / f"{variant}.json", metrics)
    with atomic_path(PLOTS / f"{variant}_recall.csv") as temporary:
        recall_at.with_columns(pl.col("recall").round(6)).write_csv(temporary)
    test = metrics["test"]
    return [
        f"{variant}: {metrics['users']:,} users, {metrics['candidates']:,} candidates each",
        "test " + ", ".join(f"{name} {value:.4f}" for name, value in test.items()),
        f"metrics in {METRICS / f'{variant}.json'}",
    ]
