"""evaluate_rag: metrics of the retrieval-augmented variant."""

from hierrec.core.stage import DATA, INDEX, ITEM_EMBEDDINGS, MODELS, Stage, Summary
from hierrec.evaluation.params import EvaluateParams
from hierrec.evaluation.results import measure
from hierrec.model.inputs import load_inputs
from hierrec.rag.checkpoint import load_rag, of_held_out
from hierrec.search.index import ItemIndex


@Stage
def main(evaluate: EvaluateParams) -> Summary:
    inputs = load_inputs(DATA, ITEM_EMBEDDINGS)
    scorer = load_rag(MODELS / "rag", inputs, ItemIndex.open(INDEX, inputs.store_hash))
    candidates = inputs.candidates, inputs.validation_candidates
    validating = of_held_out(scorer, MODELS / "rag")
    return measure("rag", scorer, inputs.sequences, evaluate, *candidates, inputs.frozen, validating)


if __name__ == "__main__":
    main()
