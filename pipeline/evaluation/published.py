"""Published results on MovieLens-1M under the same protocol: leave-one-out, full catalogue, ties by row."""

from collections.abc import Mapping

import polars as pl

MOVIELENS_1M = {"interactions": 1_000_209, "users": 6_040, "targets": 6_040}
"""The data set that the numbers belong to, by its counts; split by time it has other targets."""

PUBLISHED = {
    "SASRec": {"ndcg@10": 0.1684, "recall@10": 0.2929},
    "HSTU": {"ndcg@10": 0.1719, "recall@10": 0.3037},
    "eSASRec": {"ndcg@10": 0.1772, "recall@10": 0.3133},
    "FuXi-α": {"ndcg@10": 0.1813, "recall@10": 0.3164},
}
"""As the benchmark of eSASRec calculates them (arXiv 2508.06450); SASRec with sampled softmax."""


def beside_published(results: Mapping[str, Mapping[str, float]], counts: Mapping[str, int]) -> pl.DataFrame:
    """Return the variants beside published models; on data other than MovieLens-1M, the variants alone.

    Args:
        results: test metrics of each variant.
        counts: of the data, at least `interactions`, `users` and test `targets`.

    Returns:
        Columns model, ndcg@10, recall@10; from the lowest NDCG to the highest.
    """
    known = PUBLISHED if all(counts[name] == count for name, count in MOVIELENS_1M.items()) else {}
    rows = [
        {"model": model, "ndcg@10": metrics["ndcg@10"], "recall@10": metrics["recall@10"]}
        for model, metrics in {**known, **results}.items()
    ]
    return pl.DataFrame(rows).sort("ndcg@10", "model")
