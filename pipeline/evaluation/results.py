"""A variant is ranked, and its results are written and summed up."""

import numpy as np
from numpy.typing import NDArray

from ..core.files import atomic_path, write_details, write_json
from ..core.sequences import NO_TARGET, Sequences
from ..core.stage import METRICS, PLOTS, RANKS, Summary
from ..core.tables import write_table
from ..ranking.evaluator import HistoryScorer
from .lists import TopLists, list_metrics
from .params import EvaluateParams
from .protocol import evaluate
from .summary import headlines, recall_curve, summarise, write_csv


def measure(
    variant: str,
    scorer: HistoryScorer,
    sequences: Sequences,
    params: EvaluateParams,
    candidates: NDArray[np.bool_],
    validation_candidates: NDArray[np.bool_] | None = None,
    vectors: NDArray[np.float32] | None = None,
    validating: HistoryScorer | None = None,
) -> Summary:
    """Rank the targets; write ranks, metrics and the recall curve of a variant; return the stage's summary.

    `vectors`, float32 [n, d], are item vectors for the diversity of lists. All else is as for `evaluate`.
    """
    lists = TopLists(scorer, candidates, sequences.repeated)
    ranks = evaluate(scorer, sequences, candidates, params, validation_candidates, lists=lists, validating=validating)
    shown, count = list_metrics(lists.items, sequences, ranks, candidates, vectors), int(candidates.sum())
    metrics = {**summarise(ranks, count, params), "lists": shown}
    with atomic_path(RANKS / f"{variant}.parquet") as temporary:
        write_table(ranks, temporary)
    write_details(METRICS / f"{variant}.json", metrics)
    write_json(METRICS / "headlines" / f"{variant}.json", {variant: headlines(metrics)})
    write_csv(PLOTS / f"{variant}_recall.csv", recall_curve(ranks))
    users, drawn = len(np.unique(sequences.owners[sequences.test != NO_TARGET])), metrics["users"]
    of = f" of {users:,}, drawn at random" * (drawn < users)
    return [
        f"{variant}: {drawn:,} users{of}, {count:,} candidates each",
        "test " + ", ".join(f"{name} {value:.4f}" for name, value in metrics["test"].items()),
        f"metrics in {METRICS / f'{variant}.json'}, ranks in {RANKS / f'{variant}.parquet'}",
    ]
