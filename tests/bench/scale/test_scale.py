"""The scale benches: a realistic log, and every figure, on small inputs."""

from pathlib import Path

import polars as pl
from click.testing import CliRunner
from hierrec.core.files import read_json

from bench.scale import index, ingest
from bench.scale.events import LENGTH, write_log


def test_a_log_has_interleaved_users_who_have_an_item_once(tmp_path: Path) -> None:
    interactions, items = write_log(tmp_path, 20_000, "parquet")
    log = pl.read_parquet(interactions)
    assert 10_000 < len(log) < 25_000
    assert not log.select("user", "item").is_duplicated().any()
    assert log["timestamp"].is_sorted()
    assert not log["user"].is_sorted()
    assert log["item"].is_in(pl.read_parquet(items)["item"].implode()).all()
    counts = log["item"].value_counts()["count"]
    assert counts.max() > 3 * LENGTH / 2 > counts.median()  # type: ignore[operator]


def test_ingest_fills_every_figure_and_keeps_those_of_other_runs(tmp_path: Path) -> None:
    out = tmp_path / "results.json"
    for suffix in ("csv", "parquet"):
        command = ["--interactions", "5000", "--suffix", suffix, "--out", str(out)]
        result = CliRunner().invoke(ingest.main, command, catch_exceptions=False)
        assert result.exit_code == 0
    csv, parquet = (read_json(out)["runs"][f"now {suffix} 5000"] for suffix in ("csv", "parquet"))
    for step in ("ingest", "load"):
        assert csv[step]["resident_peak_mb"] > 0
        assert csv[step]["cpu_s"] > 0
    assert csv["ingest"]["tables_sha256"] == parquet["ingest"]["tables_sha256"]


def test_an_index_is_measured(tmp_path: Path) -> None:
    out = tmp_path / "results.json"
    command = [
        "--items",
        "2000",
        "--kind",
        "ivf_pq",
        "--dimension",
        "16",
        "--queries",
        "32",
        "--out",
        str(out),
    ]
    assert CliRunner().invoke(index.main, command, catch_exceptions=False).exit_code == 0
    found = read_json(out)["runs"]["ivf_pq 2000"]
    assert found["recall_at_20"] >= 0.95
    assert found["resident_peak_mb"] > found["memory_before_mb"] > 0
    assert found["search_one_cpu_ms"] > 0
