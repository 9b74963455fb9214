"""The roles of columns: by usual names, or as `ingest.columns` says."""

from pathlib import Path
from typing import Any

import pytest
from hierrec.core.errors import DataError
from hierrec.ingest.columns import USUAL, find_columns, plain
from hierrec.ingest.own_files import read_files
from hierrec.ingest.params import TableParams
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tests.ingest.own_tables import TABLES, events, write_tables

NEEDED = ("user", "item", "timestamp")


@pytest.mark.parametrize(
    "names",
    [
        ["user_id", "item_id", "ts"],
        ["userId", "movieId", "rating", "timestamp"],
        ["reviewerID", "asin", "reviewerName", "helpful", "overall", "unixReviewTime", "reviewTime"],
        ["InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "CustomerID", "Country"],
        ["timestamp", "visitorid", "event", "itemid", "transactionid"],
        ["event_time", "event_type", "product_id", "category_id", "user_id", "user_session"],
        ["user_id:token", "item_id:token", "rating:float", "timestamp:float"],
        ["t_dat", "customer_id", "article_id", "price"],
        ["review_id", "user_id", "business_id", "stars", "date"],
        ["User ID", "SKU", "Created-At"],
    ],
)
def test_the_columns_of_well_known_files_are_found(names: list[str]) -> None:
    found = find_columns(names, "a.csv", NEEDED, ("rating",))
    assert {*found} >= {*NEEDED}
    assert all(plain(found[role]) in USUAL[role] for role in found)


def test_no_name_is_usual_for_two_roles() -> None:
    names = [name for role in USUAL.values() for name in role]
    assert len(names) == len(set(names))
    assert all(plain(name) == name for name in names)


@given(st.permutations(["a_user", "user", "ITEM-ID", "Time"]))
def test_the_order_of_the_columns_does_not_count(names: list[str]) -> None:
    assert find_columns(names, "a", NEEDED) == {"user": "user", "item": "ITEM-ID", "timestamp": "Time"}


@pytest.mark.parametrize(
    ("names", "columns", "message"),
    [
        (["user", "asin", "sku", "ts"], None, "2 columns that can be the item: asin and sku"),
        (["user", "item", "ts", "date"], None, "2 columns that can be the timestamp: ts and date"),
        (["user", "item", "event_date", "event_timestamp"], None, r"columns: \{timestamp: event_timestamp\}"),
        (["user", "item", "Date", "Time"], None, r"ingest\.columns: \{timestamp: Time\}"),
        (["user", "item", "date", "datetime"], None, r"ingest\.columns: \{timestamp: datetime\}"),
        (["user", "item", "event_date", "order_date"], None, r"ingest\.columns: \{timestamp: event_date\}"),
        (["who", "item", "ts"], None, "column user is missing; there are 'who', 'item', 'ts'"),
        (["user", "track", "when"], None, r"columns item, timestamp are .* \{item: NAME, timestamp: NAME\}"),
        (["who", "item", "ts"], {"user": "Who"}, "column 'Who', which ingest.columns names, is missing"),
        (["user", "thing", "ts"], {"item": "Thing"}, "column 'Thing', which ingest.columns names, is missing"),
        (["user", "item", "ts"], {"user": "item"}, "column 'item' is to be both user and item"),
    ],
)  # fmt: skip
def test_what_is_missing_or_ambiguous_is_refused(
    names: list[str], columns: dict[str, Any] | None, message: str
) -> None:
    with pytest.raises(DataError, match=f"(?s){message}"):
        find_columns(names, "a.csv", NEEDED, ("rating",), columns)


def test_columns_that_are_named_count_in_both_tables(tmp_path: Path) -> None:
    files = {
        "interactions.csv": b"who,item,ts,date,stars\n" + b"ann,cup,2,1,5\nann,spoon,1,2,2.5\nbob,cup,7,7,\n",
        "items.csv": b"sku,item,label,year\ncup,x,Cup,1999\nspoon,y,Spoon,\n",
    }
    write_tables(tmp_path, files)
    params = TableParams(columns={"user": "who", "timestamp": "ts", "item": "item", "title": "label"})
    with pytest.raises(DataError, match=r"items\.csv: lists none of the 2 items"):
        read_files(tmp_path / "interactions.csv", tmp_path / "items.csv", params)
    write_tables(tmp_path, {**files, "items.csv": b"item,title\ncup,Cup\nspoon,Spoon\n"})
    wrong = TableParams(columns={"user": "who", "timestamp": "ts", "item": "product"})
    with pytest.raises(DataError, match="no table has a column 'product', which"):
        read_files(tmp_path / "interactions.csv", tmp_path / "items.csv", wrong)
    files["items.csv"] = files["items.csv"].replace(b"sku,item", b"item,note")
    write_tables(tmp_path, files)
    raw = read_files(tmp_path / "interactions.csv", tmp_path / "items.csv", params)
    assert raw.items.columns == ["item_id", "title", "year", "genres", "note"]
    assert raw.items["title"].to_list() == ["Cup", "Spoon"]
    assert events(raw).rows() == [("ann", "cup", 5.0, 2), ("ann", "spoon", 2.5, 1), ("bob", "cup", None, 7)]
    assert raw.notes[0].startswith("interactions: user = who, item = item, timestamp = ts, rating = stars, of ")
    assert raw.notes[1].startswith("items: item = item, title = label, year = year, of ")
    without = params.model_copy(update={"columns": {**(params.columns or {}), "rating": None}})
    raw = read_files(tmp_path / "interactions.csv", tmp_path / "items.csv", without)
    assert events(raw)["rating"].null_count() == 3


def test_a_title_of_that_name_comes_before_others(tmp_path: Path) -> None:
    write_tables(tmp_path, {**TABLES, "items.csv": TABLES["items.csv"].replace(b"plot", b"item_name")})
    items = read_files(tmp_path / "interactions.csv", tmp_path / "items.csv").items
    assert items.columns == ["item_id", "title", "year", "genres", "item_name"]


def test_columns_of_a_table_without_names_have_places(tmp_path: Path) -> None:
    rows = [line.split(b",") for line in TABLES["interactions.csv"].splitlines()[1:]]
    data = b"".join(b"\t".join([user, item, b"4", time]) + b"\n" for user, item, time in rows)
    write_tables(tmp_path, {**TABLES, "u.data": data})
    params = TableParams(columns={"user": 1, "item": 2, "rating": 3, "timestamp": 4})
    raw = read_files(tmp_path / "u.data", tmp_path / "items.csv", params)
    expected = read_files(tmp_path / "interactions.csv", tmp_path / "items.csv")
    assert events(raw).drop("rating").equals(events(expected).drop("rating"))
    assert events(raw)["rating"].to_list() == [4] * 8
    params = TableParams(columns={"user": 5, "item": 2, "timestamp": 4})
    with pytest.raises(DataError, match=r"column '5', which ingest\.columns names, is missing"):
        read_files(tmp_path / "u.data", tmp_path / "items.csv", params)


@pytest.mark.parametrize(
    ("names", "where"),
    [
        (b"", "u.data, row 2, line 2: a quote"),
        (b"user,item,time\n", "u.data, row 2, line 3: a quote"),
        (b'"us"er,item,time\n', "u.data, line 1: a quote"),
    ],
)
def test_rows_are_counted_after_the_line_of_names(names: bytes, where: str, tmp_path: Path) -> None:
    write_tables(tmp_path, {**TABLES, "u.data": names + b'ann,cup,1\nann,"pan"s,2\n'})
    params = TableParams() if names else TableParams(columns={"user": 1, "item": 2, "timestamp": 3})
    with pytest.raises(DataError, match=where):
        read_files(tmp_path / "u.data", tmp_path / "items.csv", params)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"user": 1, "item": "item", "timestamp": 3}, "name all of them, or give the places"),
        ({"user": 1, "item": 2}, "timestamp needs a place too"),
        ({"user": None}, "user cannot be left out"),
        ({"users": "a"}, "users"),
        ({"title": "name"}, "title is a column of items, move it to item_columns"),
    ],
)
def test_columns_that_contradict_each_other_are_refused(columns: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        TableParams.model_validate({"columns": columns, "item_columns": {}})


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"item": 1, "title": "name"}, "item_columns: name all of them, or give the places"),
        ({"title": 1}, "item_columns: item needs a place too"),
        ({"item": None}, "item_columns: item cannot be left out"),
        ({"user": "a"}, "item_columns"),
    ],
)
def test_so_are_columns_of_items(columns: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        TableParams.model_validate({"item_columns": columns})


def shop(folder: Path, items: str, events: str = "id,user_id,product_id,time") -> tuple[Path, Path]:
    """Write a shop's tables; its events have keys of their own, which are ids of items too."""
    rows = "2,ann,1,5\n1,bob,2,6\n"
    write_tables(folder, {"events.csv": f"{events}\n{rows}".encode(), "items.csv": items.encode()})
    return folder / "events.csv", folder / "items.csv"


def test_the_message_about_items_names_the_columns_of_items_alone(tmp_path: Path) -> None:
    tables = shop(tmp_path, "id,name\n1,Cup\n2,Spoon\n")
    with pytest.raises(DataError, match=r"items\.csv: column item is missing") as caught:
        read_files(*tables)
    assert "ingest.item_columns: {item: NAME}; in a text file without a line of names" in str(caught.value)
    raw = read_files(*tables, TableParams(item_columns={"item": "id"}))
    assert events(raw)["item_id"].to_list() == ["1", "2"]  # product_id, not id
    assert raw.items.select("item_id", "name").rows() == [("1", "Cup"), ("2", "Spoon")]
    two = shop(tmp_path, "id,movie_title,item_name\n1,Cup,Mug\n")
    with pytest.raises(DataError, match=r"(?s)2 columns .* title.*say which: ingest\.item_columns: \{title: "):
        read_files(*two, TableParams(item_columns={"item": "id"}))


def test_each_table_can_name_its_items_otherwise(tmp_path: Path) -> None:
    tables = shop(tmp_path, "thing,id,item,item_id\nx,1,Cup,7\ny,2,Spoon,8\n", "id,user,thing,time")
    raw = read_files(*tables, TableParams(columns={"item": "thing"}, item_columns={"item": "id"}))
    assert events(raw)["item_id"].to_list() == raw.items["item_id"].to_list() == ["1", "2"]
    assert raw.items.select("thing", "item").rows() == [("x", "Cup"), ("y", "Spoon")]
    assert raw.notes[1].endswith("texts: thing, item; left out: item_id")
    with pytest.raises(DataError, match=r"events\.csv: column 'id2', which ingest\.columns names, is missing"):
        read_files(*tables, TableParams(columns={"item": "id2"}, item_columns={"item": "id"}))
    with pytest.raises(DataError, match=r"items\.csv: column 'key', which ingest\.item_columns names"):
        read_files(*tables, TableParams(columns={"item": "thing"}, item_columns={"item": "key"}))


@pytest.mark.parametrize("key", ["columns", "item_columns"])
def test_a_role_of_items_can_stay_empty(tmp_path: Path, key: str) -> None:
    tables = shop(tmp_path, "sku,title,release_year,genres,year\n1,Cup,V,a|b,1990s\n")
    with pytest.raises(DataError, match="'1990s' is not a year") as caught:
        read_files(*tables)
    assert "ingest.item_columns: {year: null}" in str(caught.value)
    params = TableParams.model_validate({key: {"title": None, "year": None, "genres": None}})
    raw = read_files(*tables, params)
    assert raw.items.columns == ["item_id", "title", "year", "genres", "release_year"]
    assert raw.items.rows() == [("1", None, None, [], "V"), ("2", None, None, [], None)]
    assert raw.notes[1].endswith("release_year; left out: title, genres, year")


def test_another_column_than_title_can_be_the_title(tmp_path: Path) -> None:
    tables = shop(tmp_path, "sku,title,name\n1,Dr,Cup\n2,Mr,Spoon\n")
    items = read_files(*tables, TableParams(item_columns={"title": "name"})).items
    assert items.columns == ["item_id", "title", "year", "genres"]
    assert items["title"].to_list() == ["Cup", "Spoon"]


def test_columns_of_items_without_names_have_places(tmp_path: Path) -> None:
    tables = shop(tmp_path, "1,Cup,clay\n2,Spoon,steel\n")
    with pytest.raises(DataError, match="column item is missing") as caught:
        read_files(*tables)
    assert "columns have numbers: {item: NUMBER}" in str(caught.value)
    items = read_files(*tables, TableParams(item_columns={"item": 1, "title": 2})).items
    assert items.select("item_id", "title", "3").rows() == [("1", "Cup", "clay"), ("2", "Spoon", "steel")]


@pytest.mark.parametrize(
    ("stars", "message"),
    [
        (b"good", "row 1, column stars: 'good' is not a rating"),
        (b"inf", "row 1, column stars: 'inf' is not"),
    ],
)
def test_a_rating_is_a_number(tmp_path: Path, stars: bytes, message: str) -> None:
    write_tables(tmp_path, {**TABLES, "interactions.csv": b"user,item,time,stars\nann,cup,1," + stars + b"\n"})
    with pytest.raises(DataError, match=message):
        read_files(tmp_path / "interactions.csv", tmp_path / "items.csv")
