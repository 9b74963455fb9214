"""Tables of every format, packed or in parts, give the same rows."""

import gzip
import json
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from hierrec.core.errors import DataError, HierrecError
from hierrec.ingest import own_files
from hierrec.ingest.checks import Checks
from hierrec.ingest.dataset import build
from hierrec.ingest.download import fetch_parts
from hierrec.ingest.event_log import RawDataset
from hierrec.ingest.own_files import read_files
from hierrec.ingest.params import TableParams
from hierrec.ingest.sources import md5_file
from hierrec.ingest.table_files import read_table
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from pydantic import ValidationError

from tests.ingest.damage import check_outcomes, damaged
from tests.ingest.own_tables import TABLES, events, write_tables

EVENTS = pl.read_csv(TABLES["interactions.csv"])
ITEMS = pl.read_csv(TABLES["items.csv"])


def lines(table: pl.DataFrame) -> bytes:
    rows = (json.dumps({key: value for key, value in row.items() if value is not None}) for row in table.to_dicts())
    return "".join(row + "\n" for row in rows).encode()


def separated(separator: str) -> Callable[[pl.DataFrame], bytes]:
    return lambda table: table.write_csv(separator=separator).encode()


def double_colons(table: pl.DataFrame) -> bytes:
    rows = [table.columns, *[["" if value is None else str(value) for value in row] for row in table.rows()]]
    return "".join("::".join(row) + "\r\n" for row in rows).encode()


def parquet(table: pl.DataFrame) -> bytes:
    sink = pa.BufferOutputStream()
    table.write_parquet(sink)
    return sink.getvalue().to_pybytes()


def atomic(table: pl.DataFrame) -> bytes:
    names = {"user": "user_id:token", "item": "item_id:token", "timestamp": "timestamp:float"}
    names |= {"title": "movie_title:token_seq", "year": "release_year:token", "plot": "plot:token_seq"}
    return table.rename(names, strict=False).write_csv(separator="\t").encode()


def python_dicts(table: pl.DataFrame) -> bytes:
    return "".join(f"{row}\n" for row in table.to_dicts()).encode()


def zstd(content: bytes) -> bytes:
    return pa.compress(content, codec="zstd", asbytes=True)


FORMATS: dict[str, tuple[str, Callable[[pl.DataFrame], bytes], TableParams]] = {
    "tabs": (".tsv", separated("\t"), TableParams()),
    "tabs in a CSV file": (".csv", separated("\t"), TableParams()),
    "semicolons": (".csv", separated(";"), TableParams()),
    "bars": (".txt", separated("|"), TableParams(separator="|")),
    "a separator that is set": (".dat", separated("^"), TableParams(separator="^")),
    "two colons": (".dat", double_colons, TableParams()),
    "several characters": (
        ".dat",
        lambda table: double_colons(table).replace(b"::", b"<->"),
        TableParams(separator="<->"),
    ),
    "JSON lines": (".jsonl", lines, TableParams()),
    "JSON lines called JSON": (".json", lines, TableParams()),
    "Python's dicts": (".json", python_dicts, TableParams()),
    "RecBole": (".inter", atomic, TableParams()),
    "Parquet": (".parquet", parquet, TableParams()),
    "UTF-16": (".csv", lambda table: table.write_csv().encode("utf-16"), TableParams(encoding="utf-16")),
    "Latin-1": (".csv", lambda table: table.write_csv().encode("latin-1"), TableParams(encoding="latin-1")),
    "Latin-1 in JSON": (
        ".jsonl",
        lambda table: lines(table).decode("unicode-escape").encode("latin-1"),
        TableParams(encoding="latin-1"),
    ),
}
PACKED: dict[str, Callable[[bytes], bytes]] = {"": bytes, ".gz": gzip.compress, ".zst": zstd}


def same(found: RawDataset, folder: Path) -> None:
    write_tables(folder)
    expected = read_files(folder / "interactions.csv", folder / "items.csv")
    assert_frame_equal(found.items, expected.items)
    assert events(found).equals(events(expected))


@pytest.mark.parametrize("packed", PACKED)
@pytest.mark.parametrize("case", FORMATS)
@pytest.mark.parametrize("block", [64, 2**22])
def test_the_same_rows_in_every_format(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str, packed: str, block: int
) -> None:
    suffix, write, params = FORMATS[case]
    for name, table in {"events": EVENTS, "items": ITEMS}.items():
        (tmp_path / f"{name}{suffix}{packed}").write_bytes(PACKED[packed](write(table)))
    monkeypatch.setattr(own_files, "_BLOCK", block)
    raw = read_files(tmp_path / f"events{suffix}{packed}", tmp_path / f"items{suffix}{packed}", params)
    same(raw, tmp_path)


def write_parts(folder: Path) -> Path:
    """Write the interactions as a folder of parts, two of them empty, as Spark does; return it."""
    parts = folder / "parts"
    (parts / "_temporary" / "0").mkdir(parents=True)
    EVENTS.write_csv(parts / "_temporary" / "0" / "part-9.csv")
    (parts / "_SUCCESS").touch()
    (parts / ".part-2.csv.crc").touch()
    EVENTS[:3].write_parquet(parts / "part-0.parquet")
    EVENTS[:0].write_csv(parts / "part-1.csv")
    EVENTS[3:].write_csv(parts / "part-2.csv")
    (parts / "part-3.csv").touch()
    return parts


@pytest.mark.parametrize("pattern", ["", "/part-*", "/../**/part-*.*"])
def test_parts_are_read_in_the_order_of_their_names(tmp_path: Path, pattern: str) -> None:
    parts = write_parts(tmp_path)
    paths = fetch_parts(f"{parts}{pattern}", None, tmp_path / "cache", "interactions")
    write_tables(tmp_path)
    raw = read_files(paths, tmp_path / "items.csv")
    assert raw.checksums["interactions"] == md5_file(*sorted(parts.glob("part*")))
    assert fetch_parts(f"{parts}{pattern}", md5_file(*paths), tmp_path / "cache", "interactions") == paths
    assert raw.notes[0].endswith("part-3.csv")
    assert "4 files from" in raw.notes[0]
    same(raw, tmp_path)


def test_what_is_wrong_in_a_part_names_it_and_its_row(tmp_path: Path) -> None:
    parts = write_parts(tmp_path)
    write_tables(tmp_path)
    content = (parts / "part-2.csv").read_text()
    (parts / "part-2.csv").write_text(content.replace("bob,kettle,60", "ann,kettle,60"))
    paths = sorted(parts.glob("part*"))
    with pytest.raises(
        DataError,
        match=r"part-2\.csv, row 3: user 'ann', item 'kettle' is there already, on row 1 of .*part-0",
    ):
        build(read_files(paths, tmp_path / "items.csv"))  # fmt: skip
    (parts / "part-2.csv").write_text(content.replace(",60", ",noon"))
    with pytest.raises(DataError, match=r"part-2\.csv, row 3, column timestamp: 'noon'"):
        read_files(paths, tmp_path / "items.csv")
    (parts / "part-2.csv").write_text("user,item,timestamp,rating\nann,fork,5,3\n")
    with pytest.raises(DataError, match=r"part-2\.csv: some files of the table have a rating column"):
        read_files(paths, tmp_path / "items.csv")


def test_the_first_row_of_a_file_is_its_own() -> None:
    checks = Checks("a.csv")
    checks.files.append((3, "b.csv"))
    assert [checks.find(row) for row in (2, 3)] == [("a.csv", 3), ("b.csv", 1)]


def test_parts_that_are_not_there_or_others_are_refused(tmp_path: Path) -> None:
    parts, cache = write_parts(tmp_path), tmp_path / "cache"
    (tmp_path / "delta" / "_delta_log").mkdir(parents=True)
    EVENTS.write_csv(tmp_path / "delta" / "part-0.csv")
    for source, md5, message in (
        (f"{tmp_path}/no-*.csv", None, "no file matches this pattern"),
        (str(parts), "0" * 32, "the checksum does not match: md5 0{32} is expected, but these 4 files have"),
        (str(tmp_path), None, r"holds a folder, delta[\s\S]*\*\*/\*\.csv"),
        (str(tmp_path / "delta" / "*.csv"), None, "delta: is a Delta table"),
        (str(tmp_path / "none.csv"), None, "no such file"),
    ):
        with pytest.raises(HierrecError, match=message):
            fetch_parts(source, md5, cache, "interactions")


@pytest.mark.parametrize(
    ("name", "content", "params", "message"),
    [
        ("a.jsonl", b'{"user": 1}\n{"user": 2, "item": 3, "user": null}\n', {}, "line 2: key 'user' is there twice"),
        ("a.jsonl", b"{'user': 1}\n{'user': 2, 'user': 3}\n", {}, "line 2: key 'user' is there twice"),
        ("a.jsonl", b'{"user": 1}\n5\n', {}, "line 2: is JSON, but not an object"),
        ("a.jsonl", b'{"user": 1}\n{"user":\n', {}, "line 2: is not JSON"),
        ("a.jsonl", b'{"user": 1}\n{"user": "\xff"}\n', {}, "line 2: is not UTF-8"),
        ("a.jsonl", b'{"user": true}\n{"user": 1}\n', {}, "line 2, key user: is of another kind than in the"),
        ("a.jsonl", b'{"user": 1}\n{"user": NaN}\n', {}, "line 2: is not JSON .NaN is no number"),
        ("a.jsonl", b'{"user": 1}\n{"user": 1e999}\n', {}, "line 2: has a value that cannot be read"),
        ("a.csv", gzip.compress(b"user,item,timestamp\n", mtime=0), {}, r"is compressed, .* end in \.gz"),
        ("a.json", b'[{"user": 1},\n{"user": 2}]\n', {}, "line 1: is not JSON"),
        ("a.json", b"{'user': open('x')}\n", {}, "line 1: is neither JSON nor a Python dict"),
        ("a.jsonl", b'{"user": 1}\n{"user": "\\ud83d"}\n', {}, "line 2: has half of a surrogate pair"),
        ("a.jsonl", b"\n \n", {}, "table has no rows"),
        (
            "a.csv.gz",
            gzip.compress(TABLES["interactions.csv"], mtime=0)[:-20],
            {},
            "cannot be read .*compress or fetch",
        ),
        ("a.csv.gz", TABLES["interactions.csv"], {}, "cannot be read"),
        ("a.csv.zst", zstd(TABLES["interactions.csv"])[:-9], {}, "cannot be read|could be read"),
        ("a.csv.gz", b"", {}, "file is empty"),
        ("a.parquet.gz", gzip.compress(b"PAR1", mtime=0), {}, "not a readable Parquet file"),
        ("a.gz", b"", {}, "there is no reader for a name without suffix"),
        ("a.csv", b"user,item,timestamp\nann,caf\xe9,1\n", {}, "is not UTF-8"),
        ("a.csv", b"user,item,timestamp\nann,caf\x81,1\n", {"encoding": "cp1252"}, "is not CP1252"),
        ("a.csv", b"user,item,timestamp\nann,cup,1\n", {"encoding": "utf-16"}, "is not UTF-16"),
        ("a.csv", "user¦item¦timestamp\nann¦cup".encode(), {"separator": "¦"}, "2 instead of 3 columns: 'ann¦cup'"),
        ("a.dat", b"user::item::timestamp\nann::cup\n", {"separator": "::"}, "2 instead of 3 columns: 'ann::cup'"),
        ("a.dat", b"user::item::timestamp\nann::\xff::1\n", {"separator": "::"}, "line 2: is not UTF-8"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused(
    tmp_path: Path, name: str, content: bytes, params: dict[str, Any], message: str
) -> None:
    write_tables(tmp_path)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_files(tmp_path / name, tmp_path / "items.csv", TableParams(**params))
    assert re.search(message, str(caught.value), re.DOTALL)


def test_an_unknown_encoding_is_refused() -> None:
    with pytest.raises(ValidationError, match="hex is no encoding of text"):
        TableParams(encoding="hex")
    with pytest.raises(ValidationError, match="utf-9 is no encoding"):
        TableParams(encoding="utf-9")


def test_keys_of_objects_are_columns_and_lists_of_lists_flat(tmp_path: Path) -> None:
    write_tables(tmp_path)
    rows = [
        {"asin": "cup", "categories": [["Home", "Clay"], ["Gifts"]], "salesRank": {"Home": 5}, "price": 2.5},
        {"asin": "kettle", "related": [{"also": ["x"], "why": {"seen": "y"}}, {"also": ["z", None]}]},
        *({"asin": item} for item in ("teapot", "spoon")),
    ]
    (tmp_path / "meta.json").write_text("".join(json.dumps(row) + "\n" for row in rows))
    items = read_files(tmp_path / "interactions.csv", tmp_path / "meta.json").items
    further = ["categories", "salesRank.Home", "price", "related.also", "related.why.seen"]
    assert items.columns == ["item_id", "title", "year", "genres", *further]
    assert items.row(0)[4:] == (["Home", "Clay", "Gifts"], "5", "2.5", None, None)
    assert items.row(1)[4:] == (None, None, None, ["x", "z"], ["y"])


def test_columns_of_objects_may_have_a_role(tmp_path: Path) -> None:
    rows = [{"who": {"id": user, "age": 3}, "what": [7, user], "ts": user} for user in range(3)]
    (tmp_path / "log.jsonl").write_text("\n".join(map(json.dumps, rows)))
    params = TableParams(columns={"user": "who.id", "item": "who.age"}, where='"who.id" > 0')
    log = read_files(tmp_path / "log.jsonl", None, params)
    assert events(log)["user_id"].to_list() == ["1", "2"]
    (tmp_path / "twice.jsonl").write_text('{"a": {"b": 1}, "a.b": 2}')
    with pytest.raises(DataError, match=r"two columns are named 'a\.b'"):
        read_table(tmp_path / "twice.jsonl")


FUZZED = ("JSON lines", "Python's dicts", "two colons", "RecBole", "Latin-1 in JSON", "UTF-16")


def test_no_content_crashes_a_reader(tmp_path: Path) -> None:
    def read(data: st.DataObject) -> None:
        suffix, write, params = FORMATS[data.draw(st.sampled_from(FUZZED))]
        packed = data.draw(st.sampled_from(sorted(PACKED)))
        before = data.draw(st.booleans())
        spoil = partial(damaged, characters="0,\"{}[]:\n\t'", data=data)
        paths = []
        for name, table in {"events": EVENTS, "items": ITEMS}.items():
            sound = write(table)
            path = tmp_path / f"{name}{suffix}{packed}"
            path.write_bytes(PACKED[packed](spoil(sound)) if before else spoil(PACKED[packed](sound)))
            paths.append(path)
        build(read_files(paths[0], paths[1], params))

    check_outcomes(read, 250)


def test_a_key_that_is_null_or_in_a_text_or_in_a_record_is_not_there_twice(tmp_path: Path) -> None:
    rows = [
        {"user": None, "item": 1},
        {"user": "ann", "item": 2, "more": {"user": "bob"}},
        {"user": '"user": 3', "item": 3},
    ]
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    assert read_table(path).rows() == [(None, 1, None), ("ann", 2, "bob"), ('"user": 3', 3, None)]


def test_a_list_among_texts_of_items_is_refused_and_among_those_of_interactions_it_is_not_read(tmp_path: Path) -> None:
    items, events = tmp_path / "items.jsonl", tmp_path / "events.jsonl"
    items.write_text('{"item": "1", "text": "A [hat]"}\n\n{"item": "2", "text": ["A", "hat"]}\n')
    events.write_text(
        '{"user": "1", "item": "1", "ts": 1, "at": "web"}\n{"user": "1", "item": "2", "ts": 2, "at": {"a": 1}}\n'
    )
    assert len(read_files(events, None).interactions) == 2
    with pytest.raises(DataError, match=r"line 3, key text: is a list or an object, but other lines hold a text"):
        read_files(events, items)
