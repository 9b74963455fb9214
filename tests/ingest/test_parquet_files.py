"""Parquet tables as other tools write them."""

from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hierrec.ingest import parquet_files
from hierrec.ingest.own_files import read_files
from hierrec.ingest.sources import Layout, file_source
from hierrec.ingest.table_files import read_blocks

from tests.ingest.own_tables import events, write_tables

ITEMS = "items.csv"


def test_parquet_with_an_offset_for_a_zone(tmp_path: Path) -> None:
    write_tables(tmp_path)
    times = pa.array([1_000_000, 2_000_000, 3_000_000], pa.timestamp("us", tz="+05:30"))
    table = pa.table({"user": ["ann"] * 3, "item": ["cup", "fork", "spoon"], "timestamp": times})
    pq.write_table(table, tmp_path / "interactions.parquet")
    raw = read_files(tmp_path / "interactions.parquet", tmp_path / ITEMS)
    assert events(raw)["timestamp"].to_list() == [1_000_000, 2_000_000, 3_000_000]


def test_texts_that_repeat_are_written_out_a_block_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet_files, "_BLOCK", 10_000)
    path = tmp_path / "items.parquet"
    texts = ["x" * 900, None, "y" * 30_000] * 40
    pq.write_table(pa.table({"item": list(map(str, range(120))), "plot": texts}), path)
    blocks = list(read_blocks(file_source(path), Layout()))
    assert all(block["plot"].str.len_bytes().sum() <= 41_000 for block in blocks)
    assert pl.concat(blocks).rows() == list(zip(map(str, range(120)), texts, strict=True))
