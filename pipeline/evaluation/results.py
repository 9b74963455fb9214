"""How the evaluation of a variant is written and summed up."""

from pathlib import Path
from typing import Any

import polars as pl

from ..core.files import atomic_path, write_details, write_json
from ..core.stage import METRICS, PLOTS, RANKS, Summary
from ..data.tables import write_table
from .params import EvaluateParams
from .summary import headlines, recall_curve, summarise


def write_results(
    variant: str, ranks: pl.DataFrame, candidates: int, evaluate: EvaluateParams, lists: dict[str, Any]
) -> Summary:
    """Write ranks, metrics (including `lists`) and the recall curve of a variant; return the stage's summary."""
    metrics = {**summarise(ranks, candidates, evaluate), "lists": lists}
    with atomic_path(RANKS / f"{variant}.parquet") as temporary:
        write_table(ranks, temporary)
    write_details(METRICS / f"{variant}.json", metrics)
    write_json(METRICS / "headlines" / f"{variant}.json", {variant: headlines(metrics)})
    write_csv(PLOTS / f"{variant}_recall.csv", recall_curve(ranks))
    return [
        f"{variant}: {metrics['users']:,} users, {candidates:,} candidates each",
        "test " + ", ".join(f"{name} {value:.4f}" for name, value in metrics["test"].items()),
        f"metrics in {METRICS / f'{variant}.json'}, ranks in {RANKS / f'{variant}.parquet'}",
    ]


def write_csv(path: Path, table: pl.DataFrame) -> None:
    """Write a table for plots."""
    with atomic_path(path) as temporary:
        table.write_csv(temporary, float_precision=6)
