"""evaluate_baselines: metrics of the baselines. A model should beat them to be worth its training."""

import polars as pl
from hierrec.core.files import atomic_path, write_details
from hierrec.core.sequences import Sequences
from hierrec.core.stage import DATA, METRICS, RANKS, Stage, Summary
from hierrec.core.tables import candidates_of, interaction_groups, load_items, load_split, write_table
from hierrec.evaluation.baselines import baselines
from hierrec.evaluation.lists import TopLists, list_metrics
from hierrec.evaluation.params import EvaluateParams
from hierrec.evaluation.protocol import evaluate as evaluate_scorer
from hierrec.evaluation.ranks import BASELINES_SCHEMA
from hierrec.evaluation.summary import summarise_baselines


@Stage
def main(evaluate: EvaluateParams) -> Summary:
    candidates, known = candidates_of(load_items(DATA / "items.parquet"))
    interactions = interaction_groups(DATA / "interactions.parquet")
    sequences = Sequences.from_tables(interactions, load_split(DATA / "split.parquet"))
    tables, shown = [], {}
    for name, scorer in baselines(sequences, len(candidates)).items():
        lists = TopLists(scorer, candidates, sequences.repeated)
        table = evaluate_scorer(scorer, sequences, candidates, evaluate, known, perturb=False, lists=lists)
        shown[name] = list_metrics(lists.items, sequences, table, candidates)
        tables.append(table.with_columns(baseline=pl.lit(name)).select(BASELINES_SCHEMA.names()))
    ranks = pl.concat(tables)
    metrics = {name: {**found, "lists": shown[name]} for name, found in summarise_baselines(ranks).items()}
    with atomic_path(RANKS / "baselines.parquet") as temporary:
        write_table(ranks, temporary)
    write_details(METRICS / "baselines.json", metrics)
    return [
        *(f"{name}: test ndcg@10 {values['test']['ndcg@10']:.4f}" for name, values in metrics.items()),
        f"metrics in {METRICS / 'baselines.json'}, ranks in {RANKS / 'baselines.parquet'}",
    ]


if __name__ == "__main__":
    main()
