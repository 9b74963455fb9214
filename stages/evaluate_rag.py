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
    return measure("rag", scorer, inputs, evaluate, of_held_out(scorer, MODELS / "rag"))


if __name__ == "__main__":
    main()
