"""`python -m bench.fusion`: settings of the retrieval side by side, on the validation targets, over one trained model.

For each, the fusion is learned on one half of the users and measured on the other, whose best epoch counts, and the
halves are exchanged; figures are means of both. Test targets are not read. Results stand by the seed of the training;
those of other seeds are kept, so that models may be added one by one.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from hierrec.errors import HierrecError
from hierrec.evaluation.evaluator import rank_in_batches
from hierrec.evaluation.metrics import metrics_from_ranks
from hierrec.files import read_json, write_json
from hierrec.params import FusionParams, load_params
from hierrec.recommender.checkpoint import load_recommender
from hierrec.recommender.fusion import Fusion, starts
from hierrec.recommender.fusion_examples import FusionExamples
from hierrec.recommender.fusion_trainer import train_fusion
from hierrec.recommender.hierarchical import HierarchicalRecommender
from hierrec.recommender.inputs import Inputs, load_inputs
from hierrec.recommender.prefixes import prefix_states
from hierrec.recommender.rag_checkpoint import lookup, open_sources
from hierrec.recommender.trainer import CHOSEN_BY
from hierrec.retrieval.datastore import Datastore
from hierrec.retrieval.index import ItemIndex
from numpy.typing import NDArray
from torch import Tensor

from bench.over_seeds import over_seeds
from bench.peers.command import RESULTS
from bench.peers.sample import ROOT

ALONE = "the model alone"

SETTINGS: dict[str, dict[str, Any]] = {
    "both sources (the default)": {},
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


class Bench:
    """One trained model, under many settings of the retrieval.

    Args:
        artifacts: folder of data, item vectors, index and the trained sequence model.

    Attributes:
        inputs: data and item vectors.
        train: section `train` that the model was trained with.

    Raises:
        HierrecError: one of them is missing or damaged, or they do not belong together.
    """

    def __init__(self, artifacts: Path) -> None:
        self.inputs: Inputs = load_inputs(artifacts / "data", artifacts / "item_embeddings")
        model, self.train = load_recommender(
            artifacts / "models" / "hierarchical", self.inputs.frozen, self.inputs.store_hash
        )
        self._index = ItemIndex.open(artifacts / "index", self.inputs.store_hash)
        self._base = HierarchicalRecommender(model, self.train.history, torch.float32)
        self._prefixes = prefix_states(model, self.inputs.sequences, self.train.history, batch_windows=256)

    def alone(self) -> Metrics:
        """Return the validation metrics of the model without retrieval."""
        examples = FusionExamples.validation(self._base, self.inputs.sequences, {})
        states = torch.from_numpy(examples.states)

        def score(batch: NDArray[np.int64]) -> Tensor:
            with torch.inference_mode():
                return self._base.scores(states[torch.from_numpy(batch)])  # [B, n]

        return self._metrics(score, examples, batch_users=256)

    def fused(self, params: FusionParams) -> Metrics:
        """Return the validation metrics of the model with retrieval, each half of the users measured once."""
        prefixes = self._prefixes
        datastore = Datastore.of(prefixes.states, prefixes.next_items, prefixes.users, lookup(params))
        sources = open_sources(params, datastore, self._index, self.inputs.frozen)
        examples = FusionExamples.validation(self._base, self.inputs.sequences, sources)
        first, second = examples.halves(self.train.seed)
        halves = [self._learned(params, *pair) for pair in ((first, second), (second, first))]
        return {key: float(np.mean([half[key] for half in halves])) for key in halves[0]}

    def _learned(
        self, params: FusionParams, learned_from: FusionExamples, held_out: FusionExamples
    ) -> Metrics:
        """Learn on one half; return the other's metrics in its best epoch."""

        def validate(fusion: Fusion) -> Metrics:
            def score(batch: NDArray[np.int64]) -> Tensor:
                return held_out.fuse(batch, self._base, fusion, self.inputs.candidates)  # [B, n]

            return self._metrics(score, held_out, params.batch_users)

        fusion, candidates = Fusion(starts(params)), self.inputs.candidates
        curve = train_fusion(fusion, self._base, learned_from, candidates, params, self.train.seed, validate)
        best = max(curve, key=lambda record: record[CHOSEN_BY])
        return {key: value for key, value in best.items() if "@" in key}

    def _metrics(
        self, score: Callable[[NDArray[np.int64]], Tensor], examples: FusionExamples, batch_users: int
    ) -> Metrics:
        return metrics_from_ranks(
            rank_in_batches(score, examples.histories, examples.targets, self.inputs.candidates, batch_users)
        )


def compare(
    bench: Bench, fusion: FusionParams, settings: Mapping[str, Mapping[str, Any]]
) -> dict[str, Metrics]:
    """Return the validation metrics of the model alone and under each setting.

    Args:
        bench: the model.
        fusion: section `fusion` that is changed.
        settings: changes by name.
    """
    found = {ALONE: bench.alone()}
    for name, changes in settings.items():
        found[name] = bench.fused(FusionParams.model_validate({**fusion.model_dump(), **changes}))
        click.echo(f"{name:40} {'  '.join(f'{key} {value:.4f}' for key, value in found[name].items())}")
    return found


def added(
    path: Path, train: dict[str, Any], fusion: FusionParams, found: dict[str, Metrics]
) -> dict[str, Any]:
    """Return the result with one more model.

    Args:
        path: of the result: of its models those with other seeds are kept.
        train: section `train` of the model.
        fusion: section `fusion`.
        found: what was measured.

    Raises:
        click.ClickException: the earlier ones had other params, or other settings were measured.
    """
    seed, params = str(train["seed"]), {key: value for key, value in train.items() if key != "seed"}
    result = {"train": params, "fusion": fusion.model_dump(mode="json"), "runs": {seed: found}}
    if path.is_file():
        earlier = read_json(path)
        if any(earlier[part] != result[part] for part in ("train", "fusion")):
            raise click.ClickException(f"{path}: its models were trained or fused with other params")
        result["runs"] = {**earlier["runs"], **result["runs"]}
        if len({tuple(sorted(run)) for run in result["runs"].values()}) > 1:
            raise click.ClickException(
                f"{path}: other settings were measured there; remove it, or name another"
            )
    return {**result, "over_seeds": over_seeds(list(result["runs"].values()))}


@click.command(help=(__doc__ or "").partition("\n")[0])
@click.option("--artifacts", type=PATH, default=ROOT / "artifacts", help="Of `dvc repro`.")
@click.option(
    "--params", type=PATH, default=ROOT / "params.yaml", help="Its section `fusion` is what is changed."
)
@click.option("--setting", "names", multiple=True, help="Only this one; may be given several times.")
@click.option("--out", type=PATH, default=RESULTS / "fusion.json", help="JSON.")
def main(artifacts: Path, params: Path, names: tuple[str, ...], out: Path) -> None:
    """Measure, and write beside what stands there."""
    if odd := sorted(set(names) - set(SETTINGS)):
        raise click.ClickException(f"no setting is called {odd[0]!r}; there are: {'; '.join(SETTINGS)}")
    try:
        fusion = load_params(params).fusion
        bench = Bench(artifacts)
        found = compare(bench, fusion, {name: SETTINGS[name] for name in names or SETTINGS})
    except HierrecError as error:
        raise click.ClickException(str(error)) from None
    write_json(out, added(out, bench.train.model_dump(mode="json"), fusion, found))


if __name__ == "__main__":
    main()
