"""The bench of a store in shards: every figure from the quick run."""

import os
from pathlib import Path

from click.testing import CliRunner
from hierrec.core.files import read_json

from bench.growth.store import main


def test_the_quick_run_fills_every_figure(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["--quick", "--out", str(tmp_path)], catch_exceptions=False)
    assert result.exit_code == 0
    results = read_json(tmp_path / "store.json")
    assert (results["rows"], results["shard_rows"], results["width"]) == (20_000, 5_000, 64)
    figures = [value for value in results.values() if isinstance(value, dict) and "wall_s" in value]
    assert len(figures) == 4
    assert all(figure["wall_s"] > 0 for figure in figures)
    assert results["disk_mb"] > 0
    assert results["machine"]["cores"] == os.cpu_count()
