"""evaluate_compare: where the retrieval-augmented variant is better, and whether that may be chance"""

from hierrec.core import VARIANTS
from hierrec.core.files import write_details
from hierrec.core.stage import DATA, METRICS, PLOTS, RANKS, Stage, Summary
from hierrec.data.tables import counts_of, load_split
from hierrec.evaluation.comparison import beside_published, compare
from hierrec.evaluation.params import EvaluateParams
from hierrec.evaluation.ranks import load_ranks
from hierrec.evaluation.summary import slices_table, write_csv
from hierrec.ranking.metrics import metrics_from_ranks


@Stage
def main(evaluate: EvaluateParams) -> Summary:
    ranks = {variant: load_ranks(RANKS / f"{variant}.parquet") for variant in VARIANTS}
    comparison = compare(ranks, evaluate)
    test = {variant: metrics_from_ranks(table["test"].drop_nulls()) for variant, table in ranks.items()}
    write_details(METRICS / "comparison.json", comparison)
    write_csv(PLOTS / "slices.csv", slices_table(ranks))
    split = load_split(DATA / "split.parquet")
    counts = {**counts_of(split), "targets": split["test"].count()}
    write_csv(PLOTS / "published.csv", beside_published(test, counts))
    ndcg = comparison["test"]["ndcg@10"]
    change = f"{ndcg['rag'] - ndcg['hierarchical']:+.4f}"
    return [
        f"test ndcg@10: hierarchical {ndcg['hierarchical']:.4f}, rag {ndcg['rag']:.4f}",
        f"difference {change}, 95% interval {ndcg['low']:+.4f} to {ndcg['high']:+.4f}, p {ndcg['p']:.4f}",
        f"all metrics and slices in {METRICS / 'comparison.json'}",
    ]


if __name__ == "__main__":
    main()
