"""evaluate_hierarchical: metrics of the hierarchical variant."""

from hierrec.core.stage import DATA, ITEM_EMBEDDINGS, MODELS, Stage, Summary
from hierrec.evaluation.params import EvaluateParams
from hierrec.evaluation.results import measure
from hierrec.model.inputs import load_inputs
from hierrec.model.load import load_scorer


@Stage
def main(evaluate: EvaluateParams) -> Summary:
    inputs = load_inputs(DATA, ITEM_EMBEDDINGS)
    scorer = load_scorer(MODELS / "hierarchical", inputs)
    candidates = inputs.candidates, inputs.validation_candidates
    return measure("hierarchical", scorer, inputs.sequences, evaluate, *candidates, inputs.frozen)


if __name__ == "__main__":
    main()
