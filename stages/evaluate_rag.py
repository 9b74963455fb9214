"""Stage 5b: metrics of the retrieval-augmented variant."""

from hierrec.core.stage import DATA, INDEX, ITEM_EMBEDDINGS, MODELS, Summary, stage
from hierrec.evaluation.params import EvaluateParams
from hierrec.evaluation.protocol import evaluate as evaluate_scorer
from hierrec.evaluation.results import write_results
from hierrec.model.inputs import load_inputs
from hierrec.rag.checkpoint import load_rag
from hierrec.search.index import ItemIndex


@stage(
    "evaluate", libraries=("torch", "transformers", "faiss-cpu", "numpy", "polars", "pyarrow", "safetensors")
)
def main(evaluate: EvaluateParams) -> Summary:
    inputs = load_inputs(DATA, ITEM_EMBEDDINGS)
    index = ItemIndex.open(INDEX, inputs.store_hash)
    scorer = load_rag(MODELS / "rag", inputs, index)
    ranks = evaluate_scorer(
        scorer,
        inputs.sequences,
        inputs.candidates,
        evaluate,
        scorer.model.params.seed,
        inputs.validation_candidates,
    )
    return write_results("rag", ranks, int(inputs.candidates.sum()), evaluate)


if __name__ == "__main__":
    main()
