"""Measure a model in the weeks after it was trained: `python -m bench.weeks --run FOLDER`.

FOLDER holds a run with a split by time, whose model `refit` was fitted to all interactions before the test cut. In each
week after the cut, a user's target is the first item of the week, and the history is all earlier interactions. Three
models are evaluated: `stale`, as it was at the cut; `fresh`, with the memory that `hierrec update` gives it at the
start of the week; and `trained`, trained further on all interactions before the week, as for the final fit.
"""

import copy
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import click
import numpy as np
import polars as pl
import torch
from hierrec.core.files import read_details, write_json
from hierrec.core.sequences import NO_TARGET, Sequences
from hierrec.fusion.prefixes import remember
from hierrec.model.ensemble import UserModel
from hierrec.model.inputs import Inputs, load_inputs
from hierrec.model.scorer import Scorer
from hierrec.params import load_params
from hierrec.rag.checkpoint import load_parts, open_sources, open_trends
from hierrec.ranking.evaluator import rank_in_batches
from hierrec.ranking.metrics import metrics_from_ranks
from hierrec.search.index import ItemIndex
from hierrec.training.resume import TrainingState
from hierrec.training.trainer import fit
from numpy.typing import NDArray

OUT = Path("bench/results/weeks.json")
BATCH = 128


@dataclass(frozen=True)
class Log:
    """A data set with the time of each interaction."""

    inputs: Inputs
    times: NDArray[np.int64]  # [N], of the items of `inputs.sequences`, in its order

    def before(self, moment: float) -> Inputs:
        """Return the inputs at a moment: earlier interactions are training data, and their items are candidates."""
        sequences = self.inputs.sequences
        lengths = np.add.reduceat((self.times < moment).astype(np.int64), sequences.offsets[:-1])  # [U]
        nothing = np.full(sequences.user_count, NO_TARGET)
        known = replace(sequences, train_length=lengths, test_length=lengths, validation=nothing, test=nothing)
        candidates = known.training_counts(len(self.inputs.items)) > 0  # [n]
        return replace(self.inputs, sequences=known, candidates=candidates)

    def targets(self, start: float, stop: float, known: Inputs) -> NDArray[np.int64]:
        """Return each user's first item of a week, int64 [U]; `NO_TARGET` if there is none or user or item is new."""
        sequences = known.sequences
        first = sequences.offsets[:-1] + sequences.train_length  # [U]
        place = first.clip(max=len(self.times) - 1)  # [U]
        there = (first < sequences.offsets[1:]) & (self.times[place] < stop) & (sequences.train_length > 0)
        items = sequences.items[place]  # [U]
        return np.where(there & (self.times[place] >= start) & known.candidates[items], items, NO_TARGET)


def open_log(data: Path, item_embeddings: Path) -> Log:
    """Read a data set with its times."""
    times = pl.read_parquet(data / "ratings.parquet")["timestamp"].to_numpy()
    return Log(load_inputs(data, item_embeddings), times)


def further(model: UserModel, inputs: Inputs, epochs: int, rate: float) -> UserModel:
    """Return a copy of the model, trained further on the training items, as in the final fit."""
    model = copy.deepcopy(model)
    for member in model.members:
        changes = {"epochs": epochs, "learning_rate": member.params.learning_rate * rate}
        member.params = member.params.model_copy(update=changes)
    with TemporaryDirectory() as folder:
        fit(model, inputs.sequences, None, TrainingState(Path(folder), "weeks"))
    return model


def measure(run: Path, weeks: int, again: bool) -> dict[str, dict[str, dict[str, float]]]:
    """Return the metrics by week, then by model and variant.

    Args:
        run: folder with `artifacts/` and `params.yaml`.
        weeks: number of weeks.
        again: whether to train further, which takes minutes per week.
    """
    artifacts, final = run / "artifacts", load_params(run / "params.yaml").final
    log = open_log(artifacts / "data", artifacts / "item_embeddings")
    cut = read_details(artifacts / "metrics" / "data.json")["cut"]["test_from"]
    index = ItemIndex.open(artifacts / "index", log.inputs.store_hash)
    model, fusion, params = load_parts(artifacts / "models" / "refit", log.inputs)
    week = 7 * 24 * 3600 * _unit(log.times)
    trained_on = log.before(cut)

    def scorers(model: UserModel, known: Inputs) -> dict[str, Scorer]:
        datastore, trends = remember(model, known.sequences, params), open_trends(params, known)
        sources = open_sources(params, datastore, index, known, trends)
        fused = copy.copy(fusion)
        fused.trends = trends
        common = {"dtype": torch.float32, "sequences": known.sequences}
        return {
            "hierarchical": Scorer(model, known.candidates, **common),
            "rag": Scorer(model, known.candidates, sources, fused, **common),
        }

    found: dict[str, dict[str, dict[str, float]]] = {}
    stale = scorers(model, trained_on)
    for number in range(weeks):
        start = cut + number * week
        known = log.before(start)
        targets = log.targets(start, start + week, known)
        models = {"stale": stale, "fresh": scorers(model, known)}
        if again and number:
            models["trained"] = scorers(further(model, known, final.epochs, final.rate), known)
        rows = {"users": {"count": float((targets != NO_TARGET).sum())}}
        for name, variants in models.items():
            for variant, scorer in variants.items():
                rows[f"{name} {variant}"] = _ranked(scorer, known.sequences, targets)
        found[f"week {number + 1}"] = rows
        click.echo(
            f"week {number + 1}: "
            + "; ".join(f"{name} {row.get('ndcg@10', row.get('count')):.4f}" for name, row in rows.items())
        )
    return found


def _ranked(scorer: Scorer, sequences: Sequences, targets: NDArray[np.int64]) -> dict[str, float]:
    histories = sequences.training_histories()

    def score(users: NDArray[np.int64]) -> torch.Tensor:
        return scorer.score_histories([histories[user] for user in users], users)  # [B, n]

    ranks = rank_in_batches(score, histories, targets, scorer.candidates, BATCH, sequences.repeated)
    return metrics_from_ranks(ranks)


def _unit(times: NDArray[np.int64]) -> int:
    from hierrec.ingest.time_split import unit_of

    return unit_of(times.min(), times.max()) or 1


@click.command(help=(__doc__ or "").partition("\n")[0])
@click.option("--run", type=click.Path(path_type=Path, exists=True), required=True, help="Run of bench.datasets.")
@click.option("--weeks", type=click.IntRange(1), default=3, help="Weeks after the cut.")
@click.option("--trained/--not-trained", default=True, help="Whether to train further before each week.")
@click.option("--out", type=click.Path(path_type=Path), default=OUT, help="JSON file.")
def main(run: Path, weeks: int, trained: bool, out: Path) -> None:
    """Measure and write the results."""
    write_json(out, measure(run, weeks, trained))


if __name__ == "__main__":
    main()
