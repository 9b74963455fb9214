"""Stage 5a: metrics of the hierarchical variant."""

from hierrec.core.stage import DATA, ITEM_EMBEDDINGS, MODELS, Summary, stage
from hierrec.evaluation.params import EvaluateParams
from hierrec.evaluation.protocol import evaluate as evaluate_scorer
from hierrec.evaluation.results import write_results
from hierrec.model.inputs import load_inputs
from hierrec.model.load import load_scorer


@stage("evaluate", libraries=("torch", "transformers", "numpy", "polars", "pyarrow", "safetensors"))
def main(evaluate: EvaluateParams) -> Summary:
    inputs = load_inputs(DATA, ITEM_EMBEDDINGS)
    scorer = load_scorer(MODELS / "hierarchical", inputs)
    seed = scorer.model.params.seed
    ranks = evaluate_scorer(
        scorer, inputs.sequences, inputs.candidates, evaluate, seed, inputs.validation_candidates
    )
    return write_results("hierarchical", ranks, int(inputs.candidates.sum()), evaluate)


if __name__ == "__main__":
    main()
