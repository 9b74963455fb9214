"""evaluate_report: where the retrieval-augmented variant is better, and one page for people about a run."""

import torch
from hierrec.core.files import atomic_path, read_json, write_details
from hierrec.core.sequences import NO_TARGET
from hierrec.core.stage import ARTIFACTS, DATA, INDEX, ITEM_EMBEDDINGS, METRICS, MODELS, PLOTS, RANKS, Stage, Summary
from hierrec.core.tables import load_users
from hierrec.evaluation.comparison import beside_published, compare
from hierrec.evaluation.params import EvaluateParams
from hierrec.evaluation.ranks import BASELINES_SCHEMA, load_ranks
from hierrec.evaluation.summary import recall_curve, slices_table, summarise, summarise_baselines, write_csv
from hierrec.model.checkpoint import read_curve
from hierrec.model.inputs import load_inputs
from hierrec.model.load import load_scorer
from hierrec.rag.checkpoint import load_rag
from hierrec.report.items import Items, item_map, neighbours
from hierrec.report.page import Content, facts, flat, render
from hierrec.report.people import people
from hierrec.report.quality import VARIANTS, Results
from hierrec.serving.catalogue import Catalogue
from hierrec.store.store import EmbeddingStore

WRITTEN = ARTIFACTS / "report.html"


@Stage
def main(evaluate: EvaluateParams) -> Summary:
    inputs = load_inputs(DATA, ITEM_EMBEDDINGS)
    store = EmbeddingStore.open(ITEM_EMBEDDINGS)
    user_ids = load_users(DATA / "users.parquet")["user_id"].to_list()
    catalogue = Catalogue(inputs.items, inputs.frozen, inputs.store_hash, INDEX)
    counts = inputs.sequences.training_counts(len(catalogue))
    items = Items(catalogue, inputs.items["genres"].to_list(), counts)
    rag = load_rag(MODELS / "rag", inputs, catalogue.index, torch.float32)
    scorers = {"hierarchical": load_scorer(MODELS / "hierarchical", inputs, torch.float32), "rag": rag}
    model = scorers["hierarchical"].model
    settings = {
        "train": model.params.model_dump(mode="json"),
        "fusion": read_json(MODELS / "rag" / "config.json")["fusion"],
    }
    # Nothing is read from metrics and plots, which carry no checksums: all of it follows from ranks, tables and models.
    ranks = {variant: load_ranks(RANKS / f"{variant}.parquet") for variant in VARIANTS}
    comparison = compare(ranks, evaluate)
    candidates = int(inputs.candidates.sum())
    results = Results(
        metrics={variant: summarise(table, candidates, evaluate) for variant, table in ranks.items()},
        baselines=summarise_baselines(load_ranks(RANKS / "baselines.parquet", BASELINES_SCHEMA)),
        comparison=comparison["test"],
        counts={
            "candidates": candidates,
            "interactions": len(inputs.sequences.items),
            "items": len(catalogue),
            "targets": int((inputs.sequences.test != NO_TARGET).sum()),
            "users": inputs.sequences.user_count,
        },
        curves={variant: read_curve(MODELS / variant) for variant in VARIANTS},
        recall={variant: recall_curve(table) for variant, table in ranks.items()},
    )
    test = {variant: metrics["test"] for variant, metrics in results.metrics.items()}
    write_details(METRICS / "comparison.json", comparison)
    write_csv(PLOTS / "slices.csv", slices_table(results.metrics))
    write_csv(PLOTS / "published.csv", beside_published(test, results.counts))
    page = render(
        Content(
            results=results,
            facts=facts(results.counts, store, catalogue.index, model, rag.sources),
            settings=list(flat(settings)),
            map=item_map(items, store.vectors),
            people=people(inputs.sequences, user_ids, catalogue, scorers),
            neighbours=neighbours(items),
        )
    )
    with atomic_path(WRITTEN) as temporary:
        temporary.write_text(page, "utf-8")
    ndcg = comparison["test"]["ndcg@10"]
    change = f"{ndcg['rag'] - ndcg['hierarchical']:+.4f}"
    return [
        f"test ndcg@10: hierarchical {ndcg['hierarchical']:.4f}, rag {ndcg['rag']:.4f}",
        f"difference {change}, 95% interval {ndcg['low']:+.4f} to {ndcg['high']:+.4f}, p {ndcg['p']:.4f}",
        f"all metrics and slices in {METRICS / 'comparison.json'}",
        f"report: {len(page.encode()) / 1e6:.1f} MB, open it in a browser",
        "it names items of the data set, so it stays out of git",
        f"written to {WRITTEN}",
    ]


if __name__ == "__main__":
    main()
