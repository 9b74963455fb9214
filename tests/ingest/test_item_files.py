"""A table of items in several files."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hierrec.core.errors import DataError, NoRowsError
from hierrec.ingest.item_files import check_item_columns, read_items
from hierrec.ingest.params import TableParams


def parts(folder: Path, *tables: dict[str, Any]) -> list[Path]:
    paths = [folder / f"part-{number}.parquet" for number in range(1, 1 + len(tables))]
    for path, table in zip(paths, tables, strict=True):
        pl.DataFrame(table).write_parquet(path)
    return paths


def test_ids_are_read_file_by_file(tmp_path: Path) -> None:
    paths = parts(tmp_path, {"item": [1.0, 2.0], "price": [1.5, 2.5]}, {"item": ["3", "007"], "price": ["x", "y"]})
    items = read_items(paths, TableParams())[0]
    assert items["item_id"].to_list() == ["1", "2", "3", "007"]
    assert items["price"].to_list() == ["1.5", "2.5", "x", "y"]


def test_a_column_may_be_empty_or_missing_in_a_file(tmp_path: Path) -> None:
    empty = pl.Series([None], dtype=pl.String)
    paths = parts(
        tmp_path,
        {"item": [1], "tags": empty, "note": [None], "only": ["o"]},
        {"item": [2], "tags": [["a", "b"]], "note": [None], "title": ["Two"]},
    )
    items, roles = read_items(paths, TableParams())[:2]
    assert roles == {"item": "item", "title": "title"}
    assert items["tags"].to_list() == [None, ["a", "b"]]
    assert items.select("title", "note", "only").rows() == [(None, None, "o"), ("Two", None, None)]
    assert items["note"].dtype == pl.String


def test_a_bad_row_of_a_later_file_has_its_place_there(tmp_path: Path) -> None:
    first = {"sku": [1, 2, 3], "year": [1999, None, 2001], "tags": [["a"], [], None]}
    for second, message in (
        ({"sku": [4, None]}, "part-2.parquet, row 2, column sku: an id is missing"),
        ({"sku": [4.0, 5.5]}, "part-2.parquet, row 2, column sku: 5.5 is not a whole number"),
        ({"sku": [4], "year": ["old"]}, "part-2.parquet, row 1, column year: 'old' is not a year"),
        ({"sku": [4, 3]}, "part-2.parquet, row 2: sku '3' is there already, on row 3 of "),
        ({"sku": [4, 4]}, "part-2.parquet, row 2: sku '4' is there already, on row 1\n"),
        ({"sku": [4], "tags": ["a"]}, "part-2.parquet, column tags: holds text, but lists in "),
        ({"thing": [4]}, "part-2.parquet: column item is missing; there are 'thing'"),
    ):
        paths = parts(tmp_path, first, second)
        with pytest.raises(DataError) as caught:
            read_items(paths, TableParams())
        assert str(caught.value).startswith(f"{tmp_path}/{message}")


def test_a_file_of_several_may_have_no_rows(tmp_path: Path) -> None:
    paths = [tmp_path / f"part-{number}.csv" for number in range(3)]
    for path, text in zip(paths, ("", "thing,title\n", "item,title\n1,One\n"), strict=True):
        path.write_text(text)
    check_item_columns(paths, TableParams())
    assert read_items(paths, TableParams())[0]["title"].to_list() == ["One"]
    with pytest.raises(NoRowsError, match="the tables have no rows"):
        read_items(paths[:2], TableParams())
