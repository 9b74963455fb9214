"""evaluate_rag: metrics of the retrieval-augmented variant."""

from hierrec.core.stage import DATA, INDEX, ITEM_EMBEDDINGS, MODELS, Stage, Summary
from hierrec.evaluation.lists import TopLists, list_metrics
from hierrec.evaluation.params import EvaluateParams
from hierrec.evaluation.protocol import evaluate as evaluate_scorer
from hierrec.evaluation.results import write_results
from hierrec.model.inputs import load_inputs
from hierrec.rag.checkpoint import load_rag
from hierrec.search.index import ItemIndex


@Stage
def main(evaluate: EvaluateParams) -> Summary:
    inputs = load_inputs(DATA, ITEM_EMBEDDINGS)
    index = ItemIndex.open(INDEX, inputs.store_hash)
    scorer = load_rag(MODELS / "rag", inputs, index)
    seed, sequences = scorer.model.params.seed, inputs.sequences
    lists = TopLists(scorer, inputs.candidates, sequences.repeated)
    ranks = evaluate_scorer(
        scorer, sequences, inputs.candidates, evaluate, seed, inputs.validation_candidates, lists=lists
    )
    metrics = list_metrics(lists.items, sequences, ranks, inputs.candidates, inputs.frozen)
    return write_results("rag", ranks, int(inputs.candidates.sum()), evaluate, metrics)


if __name__ == "__main__":
    main()
