"""Own tables: the accepted forms, and the resulting data set."""

import csv
import html
import io
import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hierrec.core.errors import DataError
from hierrec.core.tables import load_items
from hierrec.encode.template import render
from hierrec.ingest import own_files, parquet_files
from hierrec.ingest.csv_files import NULLS
from hierrec.ingest.dataset import build
from hierrec.ingest.event_log import RawDataset
from hierrec.ingest.own_files import check_columns, read_files
from hierrec.ingest.params import TableParams
from hierrec.ingest.sample import sample_dataset
from hierrec.ingest.sources import md5_file
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from tests.ingest.damage import check_outcomes, damaged
from tests.ingest.own_tables import TABLES, events, write_tables

EVENTS, ITEMS = "interactions.csv", "items.csv"


def read(folder: Path, **edits: bytes) -> RawDataset:
    """Read the tables; `edits` replace `events` or `items`."""
    names = {"events": EVENTS, "items": ITEMS}
    write_tables(folder, {**TABLES, **{names[key]: content for key, content in edits.items()}})
    return read_files(folder / EVENTS, folder / ITEMS)


def test_a_sound_data_set(tmp_path: Path) -> None:
    raw = read(tmp_path)
    assert (raw.name, raw.md5) == ("files", None)
    assert raw.items.columns == ["item_id", "title", "year", "genres", "plot"]
    assert raw.items.rows() == [
        ("kettle", "Kettle", 1961, ["Home", "Steel"], "Boils, and whistles."),
        ("teapot", None, None, [], None),
        ("cup", "Étude in Clay", 1999, ["Home"], None),
        ("spoon", "Spoon", None, ["Steel"], "Stirs."),
        ("fork", "Fork", None, [], "Nobody took it."),
    ]
    assert events(raw).rows()[:2] == [("ann", "kettle", None, 100), ("ann", "cup", None, 300)]
    md5s = {"interactions": md5_file(tmp_path / EVENTS), "items": md5_file(tmp_path / ITEMS)}
    assert raw.checksums == md5s


def test_it_becomes_tables_in_the_total_order(tmp_path: Path) -> None:
    dataset = build(read(tmp_path))
    assert dataset.items["item_id"].to_list() == ["cup", "fork", "kettle", "spoon", "teapot"]
    assert dataset.users["user_id"].to_list() == ["ann", "bob", "cleo"]
    # ann: by time; of the two at 300, the first in the file comes first
    assert dataset.interactions["item"].to_list() == [2, 4, 0, 3, 0, 2, 3, 3]
    assert dataset.split.rows() == [(0, 2, 0, 3), (1, 1, 2, 3), (2, 1, None, None)]
    dataset.write(tmp_path / "data")
    items = load_items(tmp_path / "data" / "items.parquet")
    assert_frame_equal(items, dataset.items)
    assert render(items, "{title} ({year}). Genres: {genres}. {plot}") == [
        "Étude in Clay (1999). Genres: Home.",
        "Fork. Nobody took it.",
        "Kettle (1961). Genres: Home, Steel. Boils, and whistles.",
        "Spoon. Genres: Steel. Stirs.",
        "",  # no values, no text: an id means nothing
    ]


def same_rows(edit: Callable[[bytes], bytes]) -> Callable[[Path], RawDataset]:
    return lambda folder: read(folder, events=edit(TABLES[EVENTS]), items=edit(TABLES[ITEMS]))


def quoted(content: bytes) -> bytes:
    """Quote every value."""
    written = io.StringIO()
    csv.writer(written, quoting=csv.QUOTE_ALL).writerows(csv.reader(io.StringIO(content.decode())))
    return written.getvalue().encode()


def as_parquet(folder: Path) -> RawDataset:
    write_tables(folder)
    events = pl.read_csv(folder / EVENTS).with_columns(pl.col("user").cast(pl.Categorical))
    events.write_parquet(folder / "interactions.parquet")
    pl.read_csv(folder / ITEMS).with_columns(pl.col("genres").str.split("|")).write_parquet(folder / "items.parquet")
    return read_files(folder / "interactions.parquet", folder / "items.parquet")


def further_columns(content: bytes) -> bytes:
    """Add a column that is not read to the interactions."""
    return b"".join(line + b",5\n" for line in content.splitlines()) if b"timestamp" in content else content


def marked(folder: Path, params: TableParams) -> RawDataset:
    """Read the tables with the mark of UTF-8, and params that name another encoding."""
    write_tables(folder)
    for name in (EVENTS, ITEMS):
        (folder / name).write_bytes(b"\xef\xbb\xbf" + (folder / name).read_bytes())
    return read_files(folder / EVENTS, folder / ITEMS, params)


ACCEPTED: dict[str, Callable[[Path], RawDataset]] = {
    "byte order mark": same_rows(lambda content: b"\xef\xbb\xbf" + content),
    "byte order mark and another encoding": lambda folder: marked(folder, TableParams(encoding="latin-1")),
    "CRLF": same_rows(lambda content: content.replace(b"\n", b"\r\n")),
    "old Mac line ends": same_rows(lambda content: content.replace(b"\n", b"\r")),
    "no final newline": same_rows(lambda content: content.rstrip(b"\n")),
    "blank lines": same_rows(lambda content: b"\n" + content.replace(b"\n", b"\n\n")),
    "all values quoted": same_rows(quoted),
    "NULL of PostgreSQL and MySQL": same_rows(lambda content: re.sub(rb"(?<=,)(?=[,\n])", rb"\\N", content)),
    "columns called ids": same_rows(lambda content: content.replace(b"user,item,", b"user_id,item_id,")),
    "further columns": same_rows(further_columns),
    "Parquet, with categories and lists": as_parquet,
}


@pytest.mark.parametrize("case", ACCEPTED)
def test_other_ways_to_write_it_make_no_difference(tmp_path: Path, case: str) -> None:
    found = ACCEPTED[case](tmp_path)
    expected = read(tmp_path)
    assert_frame_equal(found.items, expected.items)
    assert_frame_equal(events(found), events(expected))


SAME_ORDER: dict[str, list[Any]] = {
    "seconds": [978300760, 978300761, 978300761],
    "before 1970": [-5, -4, -4],
    "milliseconds": [978300760000, 978300761000, 978300761000],
    "fractions": [0.25, 0.5, 0.5],
    "large": [2**62, 2**62 + 1, 2**62 + 1],
    "written fractions": ["1.5", "2", "2.0"],
    "dates": [date(2001, 1, 1), date(2001, 1, 2), date(2001, 1, 2)],
    "datetimes": [datetime(2001, 1, 1, 1), datetime(2001, 1, 1, 2), datetime(2001, 1, 1, 2)],
    "datetimes with a zone": [datetime(2001, 1, 1, hour, tzinfo=UTC) for hour in (1, 2, 2)],
    "written dates": ["2001-01-01", "2001-01-02", "2001-01-02"],
    "written datetimes": ["2001-01-01T01:00", "2001-01-01 02:00:00", "2001-01-01T02:00:00.000"],
    "written nanoseconds": [f"2001-01-01T00:00:00.{digits}" for digits in ("000000005", "000000009", "000000009")],
    "nanoseconds among seconds": [
        "2001-01-01T00:00:00",
        "2001-01-01T00:00:00.000000001",
        "2001-01-01T00:00:00.0000000010",
    ],
    "written microseconds of seconds": ["1600000000.123456", "1600000000.123457", "1600000000.1234570"],
    "written zones": ["2001-01-01T02:00+02:00", "2001-01-01T03:00Z", "2001-01-01T03:00"],
}


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@pytest.mark.parametrize("case", SAME_ORDER)
def test_times_of_any_kind_order_the_interactions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str, suffix: str
) -> None:
    first, second, third = SAME_ORDER[case]
    table = pl.DataFrame({"user": 1, "item": [3, 1, 2], "timestamp": pl.Series([second, first, third])})
    path = tmp_path / f"events{suffix}"
    if suffix == ".csv":
        table.write_csv(path)
    else:
        table.write_parquet(path)
    pl.DataFrame({"item": [1, 2, 3]}).write_parquet(tmp_path / "items.parquet")
    dataset = build(read_files(path, tmp_path / "items.parquet"))
    assert dataset.interactions["item"].to_list() == [0, 2, 1]
    assert dataset.ratings["timestamp"].is_sorted()
    monkeypatch.setattr(own_files, "_BLOCK", 48)  # bytes: one row, or two
    monkeypatch.setattr(parquet_files, "_ROWS", 1)
    in_blocks = build(read_files(path, tmp_path / "items.parquet"))
    assert_frame_equal(in_blocks.ratings, dataset.ratings)
    assert_frame_equal(in_blocks.interactions, dataset.interactions)


@pytest.mark.parametrize(
    ("form", "times"),
    [
        ("%d.%m.%Y %H:%M", ["31.12.2023 14:05", "1.1.2024 00:00", "01.01.2024 00:00"]),
        ("%m/%d/%y", ["12/31/23", "01/01/24", "01/01/24"]),
        ("%Y%m%d", [20231231, 20240101, 20240101]),
        ("%d.%m.%Y %H:%M %z", ["01.01.2024 01:30 +0200", "01.01.2024 00:00 +0000", "01.01.2024 02:00 +0200"]),
    ],
)
def test_dates_in_a_form_of_ones_own(tmp_path: Path, form: str, times: list[Any]) -> None:
    first, second, third = times
    path = tmp_path / "events.csv"
    pl.DataFrame({"user": 1, "item": [3, 1, 2], "timestamp": [second, first, third]}).write_csv(path)
    dataset = build(read_files(path, None, TableParams(time_format=form)))
    assert dataset.interactions["item"].to_list() == [0, 2, 1]
    numbers = dataset.ratings["timestamp"].to_list()
    assert numbers[0] < numbers[1] == numbers[2] == 1_704_067_200_000_000  # the first of January 2024


@pytest.mark.parametrize("wrong", ["32.12.2023 14:05", "2023-12-31", "31.12.2023"])
def test_a_date_in_another_form_is_refused(tmp_path: Path, wrong: str) -> None:
    path = tmp_path / "events.csv"
    path.write_text(f"user,item,timestamp\n1,2,31.12.2023 14:05\n1,3,{wrong}\n")
    with pytest.raises(DataError, match=r"row 2, column timestamp: .* is not '%d\.%m\.%Y %H:%M'"):
        read_files(path, None, TableParams(time_format="%d.%m.%Y %H:%M"))


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        (["007", "7", "7b"], ["007", "7", "7b"]),
        ([10, 9, -1], ["-1", "10", "9"]),
        ([10, 9, 100], ["9", "10", "100"]),
        ([10.0, 9.0, 100.0], ["9", "10", "100"]),
        (["ü b", "a,b", '"q"'], ['"q"', "a,b", "ü b"]),
        ([2**63, 2, 1], ["1", "2", str(2**63)]),
    ],
)
def test_ids_of_any_type_are_kept_as_text(tmp_path: Path, ids: list[Any], expected: list[str]) -> None:
    table = pl.DataFrame({"user": "u", "item": pl.Series(ids), "timestamp": 1})
    for suffix in ("csv", "parquet"):
        path = tmp_path / f"events.{suffix}"
        (table.write_csv if suffix == "csv" else table.write_parquet)(path)
        table.select("item").write_parquet(tmp_path / "items.parquet")
        if not (suffix == "csv" and isinstance(ids[0], float)):  # in a CSV file, 10.0 is the id "10.0"
            dataset = build(read_files(path, tmp_path / "items.parquet"))
            assert dataset.items["item_id"].to_list() == expected
            assert dataset.items["title"].to_list() == [None] * len(expected)


def test_any_column_of_texts_is_a_placeholder(tmp_path: Path) -> None:
    columns = {
        "item": [1, 2],
        "title": [" Two\n  lines ", "  "],
        "year": [1999.0, float("nan")],
        "genres": [["A", " ", None, "B", "A"], None],
        "price": [9.5, float("nan")],
        "tags": [["x", None, "y"], []],
        "stock": [True, None],
        "since": [date(2001, 2, 3), None],
        "nothing": [None, None],
    }
    pl.DataFrame(columns).write_parquet(tmp_path / "items.parquet")
    pl.DataFrame({"user": 1, "item": [1], "timestamp": 1}).write_csv(tmp_path / "events.csv")
    items = read_files(tmp_path / "events.csv", tmp_path / "items.parquet").items
    assert items.rows() == [
        ("1", "Two lines", 1999, ["A", "B"], "9.5", ["x", "y"], "true", "2001-02-03", None),
        ("2", None, None, [], None, [], None, None, None),
    ]
    template = "{title}: {tags}, {price}. {stock}. Since {since}. {nothing}"
    assert render(items, template) == ["Two lines: x, y, 9.5. true. Since 2001-02-03.", ""]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_the_sample_written_as_tables_is_the_sample(tmp_path: Path, suffix: str) -> None:
    sample = sample_dataset(users=30)
    tables = {
        "interactions": events(sample).select("user_id", "item_id", "timestamp"),
        "items": sample.items.with_columns(pl.col("genres").list.join("|")),
    }
    paths = {name: tmp_path / f"{name}{suffix}" for name in tables}
    for name, table in tables.items():
        (table.write_csv if suffix == ".csv" else table.write_parquet)(paths[name])
    found, expected = build(read_files(paths["interactions"], paths["items"])), build(sample)
    for name in ("items", "users", "interactions", "split"):
        assert_frame_equal(getattr(found, name), getattr(expected, name))


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12).filter(lambda text: text not in NULLS[1:])
BLANKS = " \u00a0"  # around an id
WORDS = (
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=8)
    .map(lambda text: text.strip(BLANKS))
    .filter(lambda text: text.strip() and text not in NULLS)
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(
    pairs=st.lists(st.tuples(WORDS, WORDS, st.integers(-3, 3)), min_size=1, max_size=20, unique_by=lambda row: row[:2]),
    texts=st.lists(TEXTS, min_size=20, max_size=20),
)
@example(pairs=[("0", "0", 0)], texts=["\x1f"] * 20)
def test_whatever_is_written_is_read(tmp_path: Path, pairs: list[tuple[str, str, int]], texts: list[str]) -> None:
    ids = sorted({item for _, item, _ in pairs})
    with (tmp_path / EVENTS).open("w", encoding="utf-8", newline="") as file:
        rows = [(f"{user}{BLANKS}", f" {item}", time) for user, item, time in pairs]
        csv.writer(file).writerows([("user", "item", "timestamp"), *rows])
    with (tmp_path / ITEMS).open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("item", "plot"), *zip(ids, texts, strict=False)])
    raw = read_files(tmp_path / EVENTS, tmp_path / ITEMS, TableParams(clean_text=False))
    assert events(raw).select("user_id", "item_id", "timestamp").rows() == pairs
    assert raw.items["item_id"].to_list() == ids
    assert raw.items["plot"].to_list() == [text if text.strip() else None for text in texts[: len(ids)]]
    clean = read_files(tmp_path / EVENTS, tmp_path / ITEMS).items["plot"].to_list()
    assert clean == [" ".join(html.unescape(text).split()) or None for text in texts[: len(ids)]]


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    """A folder with the tables in both formats."""
    as_parquet(tmp_path)
    return tmp_path


def test_no_content_crashes_the_readers(sound: Path) -> None:
    def read(data: st.DataObject) -> None:
        paths = []
        for table in ("interactions", "items"):
            chosen = f"{table}.{data.draw(st.sampled_from(['csv', 'parquet']))}"
            broken = sound / f"broken-{chosen}"
            broken.write_bytes(damaged((sound / chosen).read_bytes(), '0,"\n', data))
            paths.append(broken)
        build(read_files(paths[0], paths[1]))

    check_outcomes(read, 200)


@pytest.mark.parametrize("quote", ['"', ""])
def test_a_text_of_several_lines_is_one_value_of_an_item(tmp_path: Path, quote: str) -> None:
    text = "Boils, and\nwhistles." if quote else "Boils."
    items = read(
        tmp_path, items=TABLES[ITEMS].replace(b'"Boils, and whistles."', f"{quote}{text}{quote}".encode())
    ).items
    assert items["plot"][0] == text.replace("\n", " ")


def test_the_check_of_columns_refuses_nothing_that_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_files, "_BLOCK", 64)
    header = "user,item,timestamp,code\n"
    (tmp_path / "a.csv").write_text(header)
    numbers = "".join(f"ann,{item},{item},{item}\n" for item in range(50))
    (tmp_path / "b.csv").write_text(f"{header}{numbers}bob,1,1,A7\n")  # a text after many numbers
    paths = sorted(tmp_path.iterdir())
    params = TableParams(where="code NOT LIKE 'A%'")
    check_columns(paths, params)
    assert read_files(paths, None, params).removed == {"removed_where": 1}


@pytest.mark.parametrize(
    ("params", "message"),
    [
        (TableParams(where="price > 2"), "'price' is missing"),
        (TableParams(columns={"user": "who"}), "b.csv: column 'who', which ingest.columns names, is missing"),
    ],
)
def test_the_check_of_columns_names_what_is_missing(tmp_path: Path, params: TableParams, message: str) -> None:
    (tmp_path / "a.csv").write_text("user,item,timestamp\n")
    (tmp_path / "b.csv").write_text("user,item,timestamp\nann,1,1\n")
    with pytest.raises(DataError, match=message):
        check_columns(sorted(tmp_path.iterdir()), params)


def test_a_user_who_may_stand_for_nobody_is_named(tmp_path: Path) -> None:
    path = tmp_path / "interactions.csv"
    path.write_text("user,item,timestamp\nNULL,cup,1\nann,cup,2\nNULL,fork,3\n")
    notes = [note for note in read_files(path, None).notes if "stands for" in note]
    assert notes == ["user 'NULL' has 2 interactions; if this stands for a missing id, leave them out by ingest.where"]
