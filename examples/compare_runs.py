"""Compare two runs on the same data and test whether they differ significantly: compare_runs.py [RANKS RANKS]."""

# A run writes the ranks of its targets to artifacts/ranks/. Without arguments, this compares the variants of one run.

import sys
from pathlib import Path

import polars as pl
from hierrec.evaluation.comparison import compare
from hierrec.evaluation.ranks import load_ranks
from hierrec.params import load_params

# %% Read the ranks of both runs and run the paired bootstrap over users.
paths = sys.argv[1:3] or ["artifacts/ranks/hierarchical.parquet", "artifacts/ranks/rag.parquet"]
first, second = (load_ranks(Path(path)) for path in paths)
result = compare({"first": first, "second": second}, load_params(Path("params.yaml")).evaluate)
for metric, found in result["test"].items():
    interval = f"{found['low']:+.4f} to {found['high']:+.4f}"
    print(f"{metric:9} {found['first']:.4f} → {found['second']:.4f}  95% interval {interval}  p {found['p']:.3f}")

# %% Print the median gain in rank by history length.
both = first.join(second, on="user", suffix="_second").drop_nulls(["test", "test_second"])
moved = both.select("user", "history", gained=pl.col("test") - pl.col("test_second"))
print(moved.group_by("history").agg(pl.col("gained").median(), pl.len()).sort("history"))
