"""evaluate_refit: test metrics of both variants, fitted again on training and validation items."""

from dataclasses import replace

import numpy as np
from hierrec.core.files import atomic_directory, write_details, write_json
from hierrec.core.sequences import NO_TARGET
from hierrec.core.stage import DATA, INDEX, ITEM_EMBEDDINGS, METRICS, MODELS, RANKS, Stage, Summary
from hierrec.core.tables import write_table
from hierrec.evaluation.params import EvaluateParams
from hierrec.evaluation.protocol import evaluate as evaluate_scorer
from hierrec.evaluation.summary import headlines, summarise_test
from hierrec.model.inputs import load_inputs
from hierrec.model.load import load_scorer
from hierrec.rag.checkpoint import load_rag
from hierrec.search.index import ItemIndex


@Stage
def main(evaluate: EvaluateParams) -> Summary:
    folder = MODELS / "refit"
    written, shown = METRICS / "refit.json", METRICS / "headlines" / "refit.json"
    if not (folder / "config.json").is_file():
        with atomic_directory(RANKS / "refit"):
            pass  # DVC expects this output
        write_details(written, {})
        write_json(shown, {})
        return ["final.fit is false: there is nothing to measure"]
    inputs = load_inputs(DATA, ITEM_EMBEDDINGS)
    rag = load_rag(folder, inputs.before_test(), ItemIndex.open(INDEX, inputs.store_hash))
    scorers = {"hierarchical": load_scorer(folder / "base", inputs), "rag": rag}
    # Validation would measure nothing: the models are fitted to its targets. Popularity groups count training items.
    nothing = np.full_like(inputs.sequences.validation, NO_TARGET)
    sequences, candidates = replace(inputs.sequences, validation=nothing), inputs.candidates
    metrics, lines = {}, []
    with atomic_directory(RANKS / "refit") as tables:
        for variant, scorer in scorers.items():
            ranks = evaluate_scorer(scorer, sequences, candidates, evaluate, perturb=False)
            write_table(ranks, tables / f"{variant}.parquet")
            metrics[variant] = summarise_test(ranks, int(candidates.sum()), evaluate)
            values = ", ".join(f"{name} {value:.4f}" for name, value in metrics[variant]["test"].items())
            lines.append(f"{variant}, fitted again: test {values}")
    write_details(written, metrics)
    write_json(shown, {"refit": {variant: headlines(values) for variant, values in metrics.items()}})
    return [*lines, f"metrics in {written}, ranks in {RANKS / 'refit'}/"]


if __name__ == "__main__":
    main()
