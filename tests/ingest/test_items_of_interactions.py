"""Items without a table, items that the table lacks, several rows of an item, texts from the web."""

from pathlib import Path

import polars as pl
import pytest
from hierrec.core.errors import DataError
from hierrec.ingest import table_files
from hierrec.ingest.dataset import build
from hierrec.ingest.own_files import read_files
from hierrec.ingest.params import TableParams
from hierrec.ingest.table_files import cleaned
from hypothesis import given
from hypothesis import strategies as st

from tests.ingest.own_tables import TABLES, write_tables

VARIED = (
    "item,title,year,genres,note\n"
    "cup,,,,\n"
    "cup,Cup,1999,A,a b\n"
    "kettle,Kettle,,,\n"
    "cup,A larger cup,,A|B,c\n"
    "cup,Cup!,2001,,\n"
)


def test_without_a_table_items_are_those_of_the_interactions(tmp_path: Path) -> None:
    write_tables(tmp_path)
    raw = read_files(tmp_path / "interactions.csv", None)
    assert raw.items.rows() == [(item, None, None, []) for item in ("kettle", "cup", "teapot", "spoon")]
    assert "the 4 items of the interactions have no text" in raw.notes[-1]
    assert "ingest.item_text" in raw.notes[-1]
    assert list(raw.checksums) == ["interactions"]
    dataset = build(raw)
    assert dataset.items["candidate"].all()
    with_items = build(read_files(tmp_path / "interactions.csv", tmp_path / "items.csv"))
    ids, listed = dataset.items["item_id"], with_items.items["item_id"]
    assert [ids[row] for row in dataset.interactions["item"]] == [
        listed[row] for row in with_items.interactions["item"]
    ]


def test_items_that_the_table_lacks_are_added_without_text(tmp_path: Path) -> None:
    items = TABLES["items.csv"].replace(b"spoon,Spoon,,Steel,Stirs.\n", b"")
    write_tables(tmp_path, {**TABLES, "items.csv": items})
    raw = read_files(tmp_path / "interactions.csv", tmp_path / "items.csv")
    assert raw.items.rows()[-1] == ("spoon", None, None, [], None)
    assert raw.notes[-1].startswith("1 items, such as 'spoon', are not listed in")
    assert build(raw).counts["items"] == 5


@pytest.mark.parametrize(
    ("which", "cup"),
    [
        ("first", ("cup", "Cup", 1999, ["A"], "a b")),
        ("last", ("cup", "Cup!", 2001, ["A", "B"], "c")),
        ("longest", ("cup", "A larger cup", 1999, ["A", "B"], "a b")),
    ],
)
def test_of_several_rows_each_column_has_one_text(tmp_path: Path, which: str, cup: tuple[object, ...]) -> None:
    write_tables(tmp_path, {**TABLES, "items.csv": VARIED.encode()})
    params = TableParams.model_validate({"item_rows": which})
    items = read_files(tmp_path / "interactions.csv", tmp_path / "items.csv", params).items
    assert items.rows()[:2] == [cup, ("kettle", "Kettle", None, [], None)]
    with pytest.raises(DataError, match=r"row 2: item 'cup' is there already, on row 1 .*\n.*ingest\.item_rows"):
        read_files(tmp_path / "interactions.csv", tmp_path / "items.csv")


def test_texts_from_the_web_are_cleaned(tmp_path: Path) -> None:
    items = 'item,title,plot\ncup,Tom &amp; &quot;Co&quot;&nbsp; ,&nbsp;\nkettle,AT&T  Q&A,"a\nb"\n'
    write_tables(tmp_path, {**TABLES, "items.csv": items.encode()})
    paths = tmp_path / "interactions.csv", tmp_path / "items.csv"
    assert read_files(*paths).items.select("title", "plot").rows()[:2] == [
        ('Tom & "Co"', None),
        ("AT&T Q&A", "a b"),
    ]
    raw = read_files(*paths, TableParams(clean_text=False)).items
    assert raw.select("title", "plot").rows()[0] == ("Tom &amp; &quot;Co&quot;&nbsp;", "&nbsp;")


@given(st.lists(st.none() | st.text(), max_size=5))
def test_lists_are_cleaned_as_texts_are(texts: list[str | None]) -> None:
    column = pl.Series("a", texts, pl.String)
    expected = [text for text in cleaned(column).to_list() if text is not None]
    lists = pl.Series("a", [[], texts, None, texts[::-1]], pl.List(pl.String))
    assert cleaned(lists).to_list() == [[], expected, None, expected[::-1]]
    assert cleaned(lists[1:3]).to_list() == [expected, None]


def test_all_lists_are_cleaned_in_one_call(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    clean = table_files._clean
    monkeypatch.setattr(table_files, "_clean", lambda texts: (calls.append(len(texts)), clean(texts))[1])
    assert cleaned(pl.Series("a", [["b&amp;c"], [], ["d"]])).to_list() == [["b&c"], [], ["d"]]
    assert calls == [2]  # a call for each list takes minutes for a log of half a million rows
