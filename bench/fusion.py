"""`python -m bench.fusion`: compare settings of the retrieval on the validation targets, with one trained model.

For each setting, the fusion is learned on one half of the users and measured on the other, as `dvc repro train_rag`
does; then the halves are exchanged. Figures are means of both. The measured half also picks the epoch, which favours
every setting a little over the model alone. Test targets are not read. Results are stored by the seed of the training;
results of other seeds and settings are kept.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from hierrec.core.errors import HierrecError, ParamsError
from hierrec.core.files import read_json, write_json
from hierrec.fusion.fusion_trainer import FusionExamples, FusionTrainer, Learned
from hierrec.fusion.prefixes import prefix_states
from hierrec.model.checkpoint import CHOSEN_BY, load_model
from hierrec.model.inputs import load_inputs
from hierrec.model.scorer import Scorer
from hierrec.params import load_params
from hierrec.rag.checkpoint import open_sources, open_trends
from hierrec.rag.datastore import Datastore
from hierrec.rag.params import FusionParams
from hierrec.search.index import ItemIndex
from hierrec.training.trainer import validator

from bench.ablation.settings import load_document, with_overrides
from bench.over_seeds import over_seeds
from bench.peers.command import RESULTS
from bench.peers.sample import ROOT
from bench.speed.options import artifacts_option

ALONE = "the model alone"

SETTINGS: dict[str, dict[str, Any]] = {
    "the default": {},
    "next_items and items": {"sources": ["next_items", "items"]},
    "next_items alone": {"sources": ["next_items"]},
    "items alone": {"sources": ["items"]},
    "following 1, preceding 0": {"following": 1, "preceding": 0},
    "preceding 0": {"preceding": 0},
    "neighbours 100": {"neighbours": 100},
    "neighbours 1000": {"neighbours": 1000},
    "shortlist 5000": {"shortlist": 5000},
    "overlap 0": {"overlap": 0.0},
    "overlap 0.66": {"overlap": 0.66},
    "item_neighbours 100, recent_items 20": {"item_neighbours": 100, "recent_items": 20},
}
"""Changes to the section `fusion` of params.yaml, by name."""

Metrics = dict[str, float]
PATH = click.Path(path_type=Path)


def changed(document: dict[str, Any], names: Iterable[str]) -> dict[str, FusionParams]:
    """Return the section `fusion` by the name of the setting.

    Args:
        document: the params.yaml to change.
        names: keys of `SETTINGS`.

    Raises:
        ParamsError: a setting does not exist, or the section does not allow it.
    """
    params = {}
    for name in names:
        if name not in SETTINGS:
            raise ParamsError("there is no such setting", name, f"name one of: {'; '.join(SETTINGS)}")
        overrides = {f"fusion.{key}": value for key, value in SETTINGS[name].items()}
        params[name] = with_overrides(document, overrides).fusion
    return params


class Bench:
    """Measures one trained model with many settings of the retrieval.

    Args:
        artifacts: folder of data, item vectors, index and the trained sequence model.
        batch_users: users or windows per batch, as in train_rag; it changes the last bits, speed and memory.

    Attributes:
        inputs: data and item vectors.
        train: section `train` that the model was trained with.

    Raises:
        HierrecError: an artifact is missing or damaged, or the artifacts are of different runs.
    """

    def __init__(self, artifacts: Path, batch_users: int) -> None:
        self.inputs = load_inputs(artifacts / "data", artifacts / "item_embeddings")
        folder = artifacts / "models" / "hierarchical"
        self._model = load_model(folder, self.inputs.frozen, self.inputs.store_hash)
        self.train = self._model.params
        self._index = ItemIndex.open(artifacts / "index", self.inputs.store_hash)
        self._base = Scorer(
            self._model,
            self.inputs.validation_candidates,
            dtype=torch.float32,
            sequences=self.inputs.sequences,
        )
        self._prefixes = prefix_states(self._model, self.inputs.sequences)

    def alone(self) -> Metrics:
        """Return the validation metrics of the model without retrieval."""
        return validator(self.inputs.sequences, self.inputs.candidates)(self._model)

    def halves(self, params: FusionParams) -> tuple[Metrics, Metrics]:
        """Return the validation metrics with retrieval for each half; train_rag measures the first.

        Args:
            params: section `fusion`.

        Raises:
            DataError: fewer than two users have a validation target.
            NumericalError: a loss is not finite.
        """
        params = params.for_data(self.inputs.sequences.repeated, self.inputs.sequences.has_clock)
        datastore, prefixes = None, self._prefixes
        if "next_items" in params.sources:
            datastore = Datastore.of(prefixes.states, prefixes.next_items, prefixes.users, params)
        trends = open_trends(params, self.inputs)
        sources = open_sources(params, datastore, self._index, self.inputs, trends)
        examples, (first, second) = FusionExamples.validation(self._base, self.inputs.sequences, sources, params.users)
        counts = self.inputs.sequences.training_counts(len(self.inputs.frozen))
        trainer = FusionTrainer(params, self._base, counts, examples, trends)
        return _best(trainer.learn(first, second)), _best(trainer.learn(second, first))


def _best(learned: Learned) -> Metrics:
    """Return the metrics of the held-out half in the best step."""
    best = max(learned.curve, key=lambda record: record[CHOSEN_BY])
    return {key: value for key, value in best.items() if "@" in key}


def compare(bench: Bench, settings: Mapping[str, FusionParams]) -> dict[str, Metrics]:
    """Return the validation metrics of the model alone and under each setting, and print them.

    Args:
        bench: the model.
        settings: by name.

    Raises:
        HierrecError: as `Bench` does.
    """
    found = {ALONE: bench.alone()}
    _print(ALONE, found[ALONE])
    for name, params in settings.items():
        halves = bench.halves(params)
        found[name] = {key: float(np.mean([half[key] for half in halves])) for key in halves[0]}
        _print(name, found[name])
    return found


def earlier_runs(path: Path, train: dict[str, Any], fusion: dict[str, Any]) -> dict[str, dict[str, Metrics]]:
    """Return earlier results by seed and setting; empty if the file is missing.

    Args:
        path: of the result.
        train: section `train` of the model, without its seed.
        fusion: section `fusion` before the changes.

    Raises:
        ParamsError: the file's results have other params `train`, or another base section `fusion`.
        DataError: the result is damaged.
    """
    if not path.is_file():
        return {}
    result = read_json(path)
    if (result["train"], result["fusion"]) != (train, fusion):
        raise ParamsError("holds results of other params", str(path), "name another file (--out)")
    return result["runs"]


def _print(name: str, metrics: Metrics) -> None:
    click.echo(f"{name:40} {'  '.join(f'{key} {value:.4f}' for key, value in metrics.items())}")


@click.command(help=(__doc__ or "").partition("\n")[0])
@artifacts_option
@click.option("--params", type=PATH, default=ROOT / "params.yaml", help="File whose section `fusion` is changed.")
@click.option("--setting", "names", multiple=True, help="Only this setting; may be repeated.")
@click.option("--out", type=PATH, default=RESULTS / "fusion.json", help="JSON file.")
def main(artifacts: Path, params: Path, names: tuple[str, ...], out: Path) -> None:
    """Measure, and add the results to the file."""
    try:
        fusion = load_params(params).fusion
        settings = changed(load_document(params), names or SETTINGS)
        bench = Bench(artifacts, fusion.batch_users)
        train = bench.train.model_dump(mode="json")
        seed = str(train.pop("seed"))
        result: dict[str, Any] = {"train": train, "fusion": fusion.model_dump(mode="json")}
        runs = earlier_runs(out, **result)
        runs[seed] = {**runs.get(seed, {}), **compare(bench, settings)}
        common = set.intersection(*map(set, runs.values()))
        summary = over_seeds([{name: run[name] for name in common} for run in runs.values()])
        write_json(out, {**result, "runs": runs, "over_seeds": summary})
    except HierrecError as error:
        raise click.ClickException(str(error)) from None


if __name__ == "__main__":
    main()
