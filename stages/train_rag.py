"""Stage 4b: remember every training prefix, and learn to fuse what is retrieved into the recommendation."""

import numpy as np
import torch
from hierrec.data.sequences import NO_TARGET
from hierrec.evaluation.metrics import metrics_from_ranks
from hierrec.evaluation.ranking import mean_ranks
from hierrec.params import FusionParams, TrainParams
from hierrec.recommender.checkpoint import load_recommender
from hierrec.recommender.curve import write_curve
from hierrec.recommender.fusion import Fusion
from hierrec.recommender.fusion_examples import FusionExamples
from hierrec.recommender.fusion_trainer import train_fusion
from hierrec.recommender.hierarchical import HierarchicalRecommender
from hierrec.recommender.inputs import Inputs, load_inputs
from hierrec.recommender.prefixes import Prefixes, prefix_states
from hierrec.recommender.rag_checkpoint import open_sources, save_rag
from hierrec.recommender.sequence_model import SequenceModel
from hierrec.recommender.trainer import CHOSEN_BY
from hierrec.retrieval.datastore import Datastore
from hierrec.retrieval.index import ItemIndex
from hierrec.retrieval.sources import Source

from stages.stage import DATA, INDEX, ITEM_EMBEDDINGS, MODELS, PLOTS, Summary, stage


@stage("fusion", libraries=("torch", "transformers", "faiss-cpu"))
def main(fusion: FusionParams) -> Summary:
    inputs = load_inputs(DATA, ITEM_EMBEDDINGS)
    model, train = load_recommender(MODELS / "hierarchical", inputs.frozen, inputs.store_hash)
    prefixes = prefix_states(model, inputs.sequences, train.history, fusion.batch_users)
    datastore = Datastore(prefixes.states, prefixes.next_items, prefixes.users, fusion.neighbours)
    index = ItemIndex.open(INDEX, inputs.store_hash)
    sources = open_sources(fusion, datastore, index, inputs.frozen)
    latest = latest_prefixes(inputs, prefixes, sources, fusion)
    held_out = validation_users(inputs, model, train, sources, fusion)

    def validate(fused: Fusion) -> dict[str, float]:
        ranks = []
        for batch in np.array_split(np.arange(len(held_out)), -(-len(held_out) // fusion.batch_users)):
            with torch.inference_mode():
                scores = held_out.fuse(batch, model, fused, inputs.candidates)  # [B, n]
            targets = torch.from_numpy(held_out.targets[batch])
            ranks.append(mean_ranks(scores, targets, scores == -torch.inf).numpy())
        return metrics_from_ranks(np.concatenate(ranks))

    learned = Fusion(model.head.in_features, len(sources))
    curve = train_fusion(learned, model, latest, inputs.candidates, fusion, train.seed, validate)
    save_rag(MODELS / "rag", model, train, learned, fusion, datastore, inputs.store_hash)
    write_curve(PLOTS / "rag.csv", curve)
    best = max(record[CHOSEN_BY] for record in curve)
    return [
        f"rag: {len(datastore):,} remembered prefixes, {len(latest):,} of them to learn the fusion from",
        f"best validation {CHOSEN_BY}: {best:.4f}; plain interpolation: {curve[0][CHOSEN_BY]:.4f}",
        f"model in {MODELS / 'rag'}/, learning curve in {PLOTS / 'rag.csv'}",
    ]


def latest_prefixes(
    inputs: Inputs, prefixes: Prefixes, sources: dict[str, Source], fusion: FusionParams
) -> FusionExamples:
    """Return each user's latest training prefixes as examples."""
    earliest = inputs.sequences.train_length - fusion.positions  # [U]
    chosen = np.flatnonzero(prefixes.positions >= earliest[prefixes.users])
    histories = [
        inputs.sequences.training_items(user)[:position]
        for user, position in zip(prefixes.users[chosen], prefixes.positions[chosen], strict=True)
    ]
    states, users, targets = prefixes.states[chosen], prefixes.users[chosen], prefixes.next_items[chosen]
    return FusionExamples.collect(states, users, histories, targets, sources, fusion.batch_users)


def validation_users(
    inputs: Inputs, model: SequenceModel, train: TrainParams, sources: dict[str, Source], fusion: FusionParams
) -> FusionExamples:
    """Return the users as they stand before their validation target."""
    users = np.flatnonzero(inputs.sequences.validation != NO_TARGET)
    histories = [inputs.sequences.training_items(user) for user in users]
    base = HierarchicalRecommender(model, train.history, torch.float32)
    with torch.inference_mode():
        states = torch.cat(
            [
                base.states(histories[start : start + fusion.batch_users])
                for start in range(0, len(users), fusion.batch_users)
            ]
        ).numpy()  # [U', D]
    targets = inputs.sequences.validation[users]
    return FusionExamples.collect(states, users, histories, targets, sources, fusion.batch_users)


if __name__ == "__main__":
    main()
