"""Published files, unchanged, beside the project or in the folder HIERREC_SHARED."""

import os
from pathlib import Path

import polars as pl
import pytest
from hierrec.core.errors import DataError
from hierrec.ingest.dataset import build
from hierrec.ingest.own_files import read_files
from hierrec.ingest.params import TableParams

from tests.ingest.own_tables import events

SHARED = Path(os.environ.get("HIERREC_SHARED", Path(__file__).parents[3] / "shared"))
RETAIL = SHARED / "online-retail" / "transactions.parquet"
BEAUTY = SHARED / "amazon-2014" / "beauty"


def needs(path: Path) -> pytest.MarkDecorator:
    return pytest.mark.skipif(not path.exists(), reason=f"{path.name} is not beside the project")


@pytest.mark.realdata
@needs(RETAIL)
def test_online_retail_from_its_published_columns() -> None:
    params = TableParams(where="Quantity > 0 AND CustomerID IS NOT NULL", item_rows="longest")
    raw = read_files(RETAIL, RETAIL, params)
    table = pl.read_parquet(RETAIL).filter(pl.col("CustomerID").is_not_null() & ~pl.col("Quantity").str.contains("-"))
    assert events(raw).select("user_id", "item_id").rows() == table.select("CustomerID", "StockCode").rows()
    assert raw.removed == {"removed_where": 541_909 - 397_924}
    assert raw.items["item_id"].n_unique() == len(raw.items) == 4_070
    with pytest.raises(
        DataError, match=r"row 48: CustomerID '17850\.0', StockCode '22632' .* \(and 131,121 more rows\)"
    ):
        build(raw)


@pytest.mark.realdata
@needs(BEAUTY)
def test_beauty() -> None:
    raw = read_files(BEAUTY / "interactions.parquet", BEAUTY / "items.parquet")
    dataset = build(raw)
    assert dataset.counts == {"candidates": 12_101, "interactions": 198_502, "items": 12_101, "users": 22_363}
    params = TableParams(min_user_interactions=5, min_item_interactions=5)
    assert read_files(BEAUTY / "interactions.parquet", BEAUTY / "items.parquet", params).removed == {
        "removed_min_user_interactions": 0,
        "removed_min_item_interactions": 0,
    }
