"""Parquet tables as other tools write them."""

from datetime import datetime
from decimal import Decimal
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hierrec.ingest import parquet_files
from hierrec.ingest.own_files import read_files
from hierrec.ingest.sources import Layout, file_source
from hierrec.ingest.table_files import as_text, read_blocks

from tests.ingest.own_tables import events, write_tables

ITEMS = "items.csv"


def test_parquet_with_an_offset_for_a_zone(tmp_path: Path) -> None:
    write_tables(tmp_path)
    times = pa.array([1_000_001, 2_000_000, 3_000_000], pa.timestamp("us", tz="+05:30"))
    table = pa.table({"user": ["ann"] * 3, "item": ["cup", "fork", "spoon"], "timestamp": times})
    pq.write_table(table, tmp_path / "interactions.parquet")
    raw = read_files(tmp_path / "interactions.parquet", tmp_path / ITEMS)
    assert events(raw)["timestamp"].to_list() == [1_000_001, 2_000_000, 3_000_000]


def test_a_table_of_items_may_have_a_time_of_any_type(tmp_path: Path) -> None:
    path = tmp_path / "items.parquet"
    pq.write_table(pa.table({"item": ["cup"], "time": pa.array([1], pa.time64("us"))}), path)
    assert [block.columns for block in read_blocks(file_source(path), Layout())] == [["item"]]


def test_old_timestamps_of_spark_far_in_the_future_stay_there(tmp_path: Path) -> None:
    path, far = tmp_path / "interactions.parquet", datetime(9999, 12, 31)
    pq.write_table(pa.table({"timestamp": [far]}), path, use_deprecated_int96_timestamps=True)
    (block,) = read_blocks(file_source(path), Layout())
    assert block["timestamp"].to_list() == [far]


def test_decimals_and_structs_are_read_and_columns_of_other_types_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "interactions.parquet"
    table = {
        "user": pa.array([Decimal(7), Decimal(10**30)], pa.decimal128(38, 0)),
        "item.id": ["cup", "fork"],
        "timestamp": pa.array([Decimal(5), Decimal(9)], pa.decimal128(38, 0)),
        "price": pa.array([Decimal("1.50"), None], pa.decimal128(10, 2)),
        "half": pa.array([1.5, None], pa.float32()).cast(pa.float16()),
        "customer": [{"id": 1}, {"id": 2}],
        "title": [{"id": 1}, {"id": 2}],
        "image": [b"x", None],
        "prices": pa.array([[Decimal("1.5")], None], pa.list_(pa.decimal128(10, 2))),
        "opened": pa.array([1, 2], pa.time64("us")),
    }
    pq.write_table(pa.table(table), path)
    (block,) = read_blocks(file_source(path), Layout())
    assert block.to_dict(as_series=False) == {
        "user": ["7", str(10**30)],
        "item.id": ["cup", "fork"],
        "timestamp": ["5", "9"],
        "price": [1.5, None],
        "half": [1.5, None],
        "customer.id": [1, 2],
        "title.id": [1, 2],
    }


def test_nested_columns_and_texts_of_other_libraries_are_read(tmp_path: Path) -> None:
    path = tmp_path / "items.parquet"
    table = {
        "item": pa.array(["cup"], pa.string_view()),
        "categories": [[["Home", "Kitchen"], ["Tea"]]],
        "images": [[{"large": "a"}, {"large": "b"}]],
        "vector": pa.array([[1.0, 2.0]], pa.list_(pa.float64(), 2)),
        "shape": [{"vector": [1.0, 2.0]}],
        "until": pa.array([2**31 - 1], pa.int32()).cast(pa.date32()),
    }
    pq.write_table(pa.table(table), path)
    (block,) = read_blocks(file_source(path), Layout())
    until = as_text(block["until"])
    assert block.drop("until").to_dict(as_series=False) == {
        "item": ["cup"],
        "categories": [["Home", "Kitchen", "Tea"]],
        "images.large": [["a", "b"]],
        "shape.vector": [[1.0, 2.0]],
    }
    assert until.to_list() == ["5881580-07-11"]


def test_texts_that_repeat_are_written_out_a_block_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet_files, "_BLOCK", 10_000)
    path = tmp_path / "items.parquet"
    texts = ["x" * 900, None, "y" * 30_000] * 40
    pq.write_table(pa.table({"item": list(map(str, range(120))), "plot": texts}), path)
    blocks = list(read_blocks(file_source(path), Layout()))
    assert all(block["plot"].str.len_bytes().sum() <= 41_000 for block in blocks)
    assert pl.concat(blocks).rows() == list(zip(map(str, range(120)), texts, strict=True))
