"""evaluate_hierarchical: metrics of the hierarchical variant."""

from hierrec.core.stage import DATA, ITEM_EMBEDDINGS, MODELS, Stage, Summary
from hierrec.evaluation.lists import TopLists, list_metrics
from hierrec.evaluation.params import EvaluateParams
from hierrec.evaluation.protocol import evaluate as evaluate_scorer
from hierrec.evaluation.results import write_results
from hierrec.model.inputs import load_inputs
from hierrec.model.load import load_scorer


@Stage
def main(evaluate: EvaluateParams) -> Summary:
    inputs = load_inputs(DATA, ITEM_EMBEDDINGS)
    scorer = load_scorer(MODELS / "hierarchical", inputs)
    seed, sequences = scorer.model.params.seed, inputs.sequences
    lists = TopLists(scorer, inputs.candidates, sequences.repeated)
    ranks = evaluate_scorer(
        scorer, sequences, inputs.candidates, evaluate, seed, inputs.validation_candidates, lists=lists
    )
    metrics = list_metrics(lists.items, sequences, ranks, inputs.candidates, inputs.frozen)
    return write_results("hierarchical", ranks, int(inputs.candidates.sum()), evaluate, metrics)


if __name__ == "__main__":
    main()
