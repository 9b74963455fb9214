"""Limits for large data, set low: each stage draws a part, and all stages draw the same users."""

from pathlib import Path

import polars as pl
from hierrec.core.files import read_details

from tests.reliability.sample_stages import TRAIN, run_stages

LIMITS = {
    "train.epochs": 2,
    "train.epoch_batches": 3,
    "train.validation_users": 1,
    "fusion.prefixes": 500,
    "evaluate.users": 120,
    "evaluate.perturbed_users": 40,
}


def test_each_stage_draws_a_part_and_the_variants_are_measured_on_the_same_users(
    sample_run: Path, tmp_path: Path
) -> None:
    artifacts = run_stages(sample_run, tmp_path / "run", (*TRAIN, "evaluate_report"), LIMITS)
    curve = pl.read_csv(artifacts / "plots" / "hierarchical.csv")
    assert set(curve["recall@20"]) <= {0, 1}  # of one user
    entries = pl.read_parquet(artifacts / "models" / "rag" / "datastore" / "entries.parquet")
    lengths = entries.group_by("user").len()
    whole = pl.read_parquet(artifacts / "data" / "split.parquet").join(lengths, on="user")
    assert 500 <= len(entries) < 500 + whole["train_length"].max()  # type: ignore[operator]
    assert (whole["len"] == whole["train_length"] - 1).all()
    users = []
    for variant in ("hierarchical", "rag"):
        ranks = pl.read_parquet(artifacts / "ranks" / f"{variant}.parquet")
        users.append(ranks.filter(pl.col("test").is_not_null())["user"].to_list())
        metrics = read_details(artifacts / "metrics" / f"{variant}.json")
        assert metrics["users"] == len(users[-1]) == 120
        assert ranks["dropped"].count() == 40
    baselines = pl.read_parquet(artifacts / "ranks" / "baselines.parquet").filter(pl.col("test").is_not_null())
    users += [part["user"].to_list() for _, part in baselines.group_by("baseline")]
    assert all(drawn == users[0] for drawn in users)
