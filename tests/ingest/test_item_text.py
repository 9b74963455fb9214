"""Further text per item, joined by id."""

import contextlib
import json
from pathlib import Path

import polars as pl
import pytest
from hierrec.core.errors import DataError
from hierrec.ingest.dataset import build
from hierrec.ingest.item_files import add_item_text, read_item_text
from hierrec.ingest.movielens import read_movielens
from hierrec.ingest.own_files import read_files
from hierrec.ingest.sample import sample_dataset
from hierrec.ingest.sources import md5_file
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from tests.ingest.own_tables import write_tables

TEXTS = {"1": "A first\nplot.", "12": "Étude.", "absent": "Of no item.", "3": None, "4": "  "}


def write_texts(path: Path) -> Path:
    """Write the texts in the format that the file's name says."""
    table = pl.DataFrame({"item_id": list(TEXTS), "text": list(TEXTS.values())})
    if path.suffix.lower() == ".json":
        path.write_text(json.dumps(TEXTS), "utf-8")
    elif path.suffix == ".csv":
        table.write_csv(path)
    else:
        table.write_parquet(path)
    return path


@pytest.mark.parametrize("name", ["texts.json", "texts.csv", "texts.parquet", "TEXTS.JSON"])
def test_items_get_their_text_and_the_others_keep_what_they_have(archive: Path, tmp_path: Path, name: str) -> None:
    raw = read_movielens(archive)
    path = write_texts(tmp_path / name)
    more = add_item_text(raw, path)
    assert more.notes == (f"further text for 2 items; 1 ids of {path} name no item",)
    assert more.items["extra_text"].to_list() == ["A first plot.", None, None, None, "Étude."]
    assert_frame_equal(more.items.drop("extra_text"), raw.items)
    assert more.checksums == {"item_text": md5_file(path)}
    dataset = build(more)
    assert dataset.items["extra_text"].to_list() == more.items["extra_text"].to_list()
    assert_frame_equal(dataset.items.drop("extra_text"), build(raw).items)


def test_whole_numbers_are_keys_as_well(tmp_path: Path) -> None:
    pl.DataFrame({"item": [1, 2], "text": ["A", "B"]}).write_parquet(tmp_path / "texts.parquet")
    more = add_item_text(sample_dataset(users=3), tmp_path / "texts.parquet")
    assert more.notes[0].startswith("further text for 2 items; 0 ids of")


def test_a_byte_order_mark_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "texts.json").write_bytes(b'\xef\xbb\xbf{"1": "A"}')
    assert read_item_text(tmp_path / "texts.json").rows() == [("1", "A")]


def test_items_that_have_such_a_column_are_refused(tmp_path: Path) -> None:
    write_tables(tmp_path)
    raw = read_files(tmp_path / "interactions.csv", tmp_path / "items.csv")
    more = add_item_text(raw, tmp_path / "texts.json")
    assert more.items["extra_text"].to_list() == ["Made of copper.", None, None, None, None]
    assert set(more.checksums) == {"interactions", "items", "item_text"}
    with pytest.raises(DataError, match="have a column extra_text already"):
        add_item_text(more, tmp_path / "texts.json")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    content=st.binary(max_size=30)
    | st.text('{}[]":,0a\\u d8', max_size=30).map(str.encode)
    | st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=3),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    ).map(lambda value: json.dumps(value).encode())
)
def test_no_content_crashes_the_reader(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "texts.json"
    path.write_bytes(content)
    with contextlib.suppress(DataError):
        assert read_item_text(path).columns == ["item_id", "extra_text"]


@pytest.mark.parametrize(("name", "content"), [("texts.json", '{"1": "Été"}'), ("texts.csv", "item_id,text\n1,Été\n")])
@pytest.mark.parametrize("encoding", ["latin-1", "utf-16", "utf-8-sig"])
def test_the_encoding_is_that_of_all_text_files(tmp_path: Path, name: str, content: str, encoding: str) -> None:
    path = tmp_path / name
    path.write_text(content, encoding)
    read_as = "utf-8" if encoding == "utf-8-sig" else encoding
    assert read_item_text(path, read_as).rows() == [("1", "Été")]
    if encoding == "latin-1":
        with pytest.raises(DataError, match=r"ingest\.encoding"):
            read_item_text(path)
