"""train_rag: remember training prefixes, and learn to fuse retrieved items with the model's scores.

The fusion learns from the validation targets of one half of the users; the targets of the other half pick the step, and
whether source `trending` is used. This fusion ranks validation targets of the other half. Where users are few, the
fusion that ranks all else then learns from the targets of all users.
"""

import torch
from hierrec.core.stage import DATA, INDEX, ITEM_EMBEDDINGS, MODELS, PLOTS, Stage, Summary
from hierrec.fusion.fusion_trainer import FusionExamples, FusionTrainer
from hierrec.fusion.prefixes import remember
from hierrec.model.checkpoint import CHOSEN_BY, load_model, write_curve
from hierrec.model.inputs import load_inputs
from hierrec.model.scorer import Scorer
from hierrec.rag.checkpoint import open_sources, open_trends, save_rag
from hierrec.rag.params import FusionParams
from hierrec.search.index import ItemIndex


@Stage
def main(fusion: FusionParams) -> Summary:
    inputs = load_inputs(DATA, ITEM_EMBEDDINGS)
    asked, fusion = fusion, fusion.for_data(inputs.sequences.repeated, inputs.sequences.has_clock)
    model = load_model(MODELS / "hierarchical", inputs.frozen, inputs.store_hash)
    datastore = remember(model, inputs.sequences, fusion)
    index = ItemIndex.open(INDEX, inputs.store_hash)
    trends = open_trends(fusion, inputs)
    sources = open_sources(fusion, datastore, index, inputs, trends)
    scorer = Scorer(model, inputs.validation_candidates, dtype=torch.float32, sequences=inputs.sequences)
    examples, (first, second) = FusionExamples.validation(scorer, inputs.sequences, sources, fusion.users)
    counts = inputs.sequences.training_counts(len(inputs.frozen))  # [n]
    trainer = FusionTrainer(fusion, scorer, counts, examples, trends)
    learned = trainer.learn(first, second)
    final, again = learned.fusion, ""  # of many users, more would teach nothing
    if len(first) < fusion.users:
        final, again = trainer.learn_from_all(learned), f"; then learned from all {len(examples.targets):,}"
    parts = final, learned.params, datastore
    save_rag(MODELS / "rag", model, *parts, inputs.store_hash, learned.curve, of_half=learned.fusion)
    write_curve(PLOTS / "rag.csv", learned.curve)
    remembered, every = len(datastore or ()), int((inputs.sequences.train_length - 1).clip(min=0).sum())
    of = f" of {every:,}" * (0 < remembered < every)
    why = {name: "no gain" if name in fusion.sources else "not for these data" for name in asked.sources}
    left_out = ", ".join(f"{name} ({why[name]})" for name in asked.sources if name not in learned.params.sources)
    unused = ", so the model alone ranks: retrieval is not used" * (not learned.used)
    return [
        f"rag: {remembered:,}{of} training prefixes",
        f"fusion: learned from {len(first):,} targets; {CHOSEN_BY} on {len(second):,} others: {learned.best:.4f}; "
        f"plain interpolation: {learned.curve[0][CHOSEN_BY]:.4f}; the model alone: {learned.alone:.4f}{unused}{again}",
        f"sources: {', '.join(learned.params.sources)}{f'; left out: {left_out}' * bool(left_out)}",
        f"model in {MODELS / 'rag'}/, learning curve in {PLOTS / 'rag.csv'}",
    ]


if __name__ == "__main__":
    main()
