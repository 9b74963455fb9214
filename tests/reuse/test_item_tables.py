"""Any table becomes items with text ids, and its faults are named."""

from pathlib import Path

import polars as pl
import pytest
from hierrec.core.errors import DataError
from hierrec.reuse.item_tables import read_catalogue


def parquet(path: Path, **columns: object) -> Path:
    pl.DataFrame(columns).write_parquet(path)
    return path


def test_ids_are_text_and_other_columns_stay(tmp_path: Path) -> None:
    table = parquet(
        tmp_path / "items.parquet",
        title=["One", None, " "],
        id=[7, 2, 10],
        tags=[["a", "b"], [], None],
        price=[1.5, 2.0, None],
    )
    items = read_catalogue(table, "id")
    assert items.columns == ["item_id", "title", "tags", "price"]
    assert items["item_id"].to_list() == ["7", "2", "10"]
    assert items["title"].to_list() == ["One", None, None]
    assert items["tags"].to_list() == [["a", "b"], [], None]
    assert items["price"].to_list() == [1.5, 2.0, None]


def test_years_beside_missing_ones_are_whole(tmp_path: Path) -> None:
    nan, inf = float("nan"), float("inf")
    table = parquet(tmp_path / "i.parquet", item_id=["a", "b"], year=[1995.0, nan], x=[inf, 1.0])
    items = read_catalogue(table, "item_id")
    assert items["year"].to_list() == [1995, None]
    assert items["x"].to_list() == [inf, 1.0]


def test_a_title_of_several_parts_is_joined(tmp_path: Path) -> None:
    items = read_catalogue(parquet(tmp_path / "i.parquet", item_id=[1], title=[["a", "b"]]), "item_id")
    assert items["title"].to_list() == ["a, b"]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"title": ["a"]}, "column 'id' is missing; there are 'title'"),
        ({"id": ["a", "a"]}, "'a'"),
        ({"id": ["a", None]}, "row 2.*missing|missing"),
        ({"id": [1.5, 2.0]}, "not a whole number"),
        ({"id": ["a"], "item_id": ["b"]}, "column item_id too"),
    ],
)
def test_bad_tables_are_refused(tmp_path: Path, columns: dict[str, list[object]], message: str) -> None:
    path = parquet(tmp_path / "items.parquet", **columns)
    with pytest.raises(DataError, match=message) as caught:
        read_catalogue(path, "id")
    assert str(path) in str(caught.value)
