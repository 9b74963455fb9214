"""Stage 4b: remember every training prefix, and learn to fuse what is retrieved into the recommendation.

The fusion learns from the validation targets of one half of the users; the other half's pick the epoch.
"""

import numpy as np
import torch
from hierrec.core.stage import DATA, INDEX, ITEM_EMBEDDINGS, MODELS, PLOTS, Summary, stage
from hierrec.fusion.fusion_examples import FusionExamples
from hierrec.fusion.fusion_trainer import train_fusion
from hierrec.fusion.prefixes import prefix_states
from hierrec.model.checkpoint import CHOSEN_BY, load_model, write_curve
from hierrec.model.inputs import load_inputs
from hierrec.model.scorer import Scorer
from hierrec.rag.checkpoint import lookup, open_sources, save_rag
from hierrec.rag.datastore import Datastore
from hierrec.rag.fusion import Fusion, starts
from hierrec.rag.params import FusionParams
from hierrec.ranking.evaluator import rank_in_batches
from hierrec.ranking.metrics import metrics_from_ranks
from hierrec.search.index import ItemIndex
from numpy.typing import NDArray
from torch import Tensor


def learn(
    params: FusionParams,
    scorer: Scorer,
    learned_from: FusionExamples,
    held_out: FusionExamples,
) -> tuple[Fusion, list[dict[str, float]]]:
    """Learn the fusion from some users; others pick the epoch.

    Returns:
        The fusion with the weights of its best epoch; one record per epoch, with the metrics of `held_out`.

    Raises:
        NumericalError: the loss is not finite.
    """

    def validate(fusion: Fusion) -> dict[str, float]:
        def score(batch: NDArray[np.int64]) -> Tensor:
            return held_out.fuse(batch, scorer, fusion)  # [B, n]

        seen, targets = held_out.query.histories, held_out.targets
        return metrics_from_ranks(
            rank_in_batches(score, seen, targets, scorer.candidates, params.batch_users)
        )

    fusion = Fusion(starts(params))
    return fusion, train_fusion(fusion, scorer, learned_from, params, scorer.model.params.seed, validate)


@stage(
    "fusion", libraries=("torch", "transformers", "faiss-cpu", "numpy", "polars", "pyarrow", "safetensors")
)
def main(fusion: FusionParams) -> Summary:
    inputs = load_inputs(DATA, ITEM_EMBEDDINGS)
    model = load_model(MODELS / "hierarchical", inputs.frozen, inputs.store_hash)
    datastore = None
    if "next_items" in fusion.sources:
        prefixes = prefix_states(model, inputs.sequences, fusion.batch_users)
        datastore = Datastore.of(prefixes.states, prefixes.next_items, prefixes.users, lookup(fusion))
    index = ItemIndex.open(INDEX, inputs.store_hash)
    sources = open_sources(fusion, datastore, index, inputs.frozen)
    scorer = Scorer(model, inputs.candidates, dtype=torch.float32)
    examples = FusionExamples.validation(scorer, inputs.sequences, sources)
    learned_from, held_out = examples.halves(model.params.seed)
    learned, curve = learn(fusion, scorer, learned_from, held_out)
    save_rag(MODELS / "rag", model, learned, fusion, datastore, inputs.store_hash, curve)
    write_curve(PLOTS / "rag.csv", curve)
    best = max(record[CHOSEN_BY] for record in curve)
    return [
        f"rag: {len(datastore or ()):,} training prefixes; fusion learned from {len(learned_from):,} users",
        f"{CHOSEN_BY} on the validation targets of {len(held_out):,} others: {best:.4f}; "
        f"plain interpolation: {curve[0][CHOSEN_BY]:.4f}",
        f"model in {MODELS / 'rag'}/, learning curve in {PLOTS / 'rag.csv'}",
    ]


if __name__ == "__main__":
    main()
